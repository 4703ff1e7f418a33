"""What the machine says of itself: read from the kernel, empty where it keeps silent."""

from __future__ import annotations

import glob
import os
import platform
from typing import Any, Dict, List, Optional

# From most to least capable for int8 and float kernels; the first one present names the ISA.
ISA_LEVELS = {
    "x86_64": ["avx512_vnni", "avx_vnni", "avx512f", "avx2", "sse4_1"],
    "aarch64": ["i8mm", "asimddp", "asimd"],
}
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}


def facts() -> Dict[str, Any]:
    """Architecture, CPU, cores, memory (bytes), governor, kernel and load (one minute)."""
    info = _cpuinfo()
    machine = platform.machine().lower()
    architecture = ARCHITECTURES.get(machine, machine)
    flags = (info.get("flags") or info.get("Features") or "").split()
    return {
        "isa": isa(architecture, flags),
        "features": sorted(set(flags)),
        "cpu": info.get("model name") or info.get("Hardware") or platform.processor(),
        "cores": cores(),
        "memory_bytes": _memory_bytes(),
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "system": platform.system(),
        "kernel": platform.release(),
        "load": load(),
        **state(),
    }


def state() -> Dict[str, Any]:
    """``temperature_c`` of the hottest zone, ``frequency_mhz`` as the mean of all clocks."""
    zones = _numbers("/sys/class/thermal/thermal_zone*/temp")
    clocks = _numbers("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
    return {
        "temperature_c": max(zones) / 1e3 if zones else None,  # the kernel tells thousandths
        "frequency_mhz": sum(clocks) / len(clocks) / 1e3 if clocks else None,  # and kHz
    }


def _numbers(pattern: str) -> List[int]:
    """What the kernel's files hold; one that cannot be read, or holds no number, is left out."""
    texts = [_text(path) for path in sorted(glob.glob(pattern))]
    return [int(text) for text in texts if text.lstrip("-").isdigit()]


def isa(architecture: str, flags: List[str]) -> str:
    """``x86_64-avx512_vnni``: the architecture and its most telling feature."""
    for level in ISA_LEVELS.get(architecture, []):
        if level in flags:
            return "{}-{}".format(architecture, level)
    return architecture


def cores() -> int:
    """CPUs that this process may use: its affinity, cut by a cgroup's quota."""
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:
        usable = os.cpu_count() or 1
    quota = _text("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit() and quota[1].isdigit():
        usable = min(usable, max(1, -(-int(quota[0]) // int(quota[1]))))
    return usable


def load() -> Optional[float]:
    """Load average of the last minute, None where the system keeps none."""
    try:
        return float(os.getloadavg()[0])
    except (AttributeError, OSError):
        return None


def gpu() -> str:
    """Model of the first NVIDIA GPU, as its driver names it; empty where there is none."""
    for path in sorted(glob.glob("/proc/driver/nvidia/gpus/*/information")):
        for line in _text(path).splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "Model":
                return value.strip()
    return ""


def _cpuinfo() -> Dict[str, str]:
    """The first value of each key in /proc/cpuinfo."""
    found: Dict[str, str] = {}
    for line in _text("/proc/cpuinfo").splitlines():
        key, separator, value = line.partition(":")
        if separator:
            found.setdefault(key.strip(), value.strip())
    return found


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
