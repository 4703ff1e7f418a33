"""Resident memory of this process, from /proc/self."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from typing import Any, Dict

from .errors import AgentError


def reading() -> Dict[str, Any]:
    """``rss_bytes`` now and ``peak_bytes`` since the last reset. Raises AgentError."""
    sizes: Dict[str, int] = {}
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key in ("VmRSS", "VmHWM"):
                    sizes[key] = int(value.split()[0]) * 1024
        return {"rss_bytes": sizes["VmRSS"], "peak_bytes": sizes["VmHWM"]}
    except (OSError, KeyError, ValueError, IndexError):
        raise AgentError(
            "DeviceError",
            "this device does not report a process's resident memory",
            "/proc/self/status",
            "limit memory constraints to Linux targets",
        ) from None


def reset() -> bool:
    """Give freed memory back and restart the peak; whether the kernel allowed the latter."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc; else what imports left free hides a model
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # resets VmHWM, proc(5)
    except OSError:
        return False
    return True
