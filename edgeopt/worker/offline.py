"""No network for the rest of a process's life, and for all that it starts.

Linux gives it a network namespace of its own, which has no interface that is up. Where the kernel
refuses that, and in any case, Python's own sockets refuse: that is no wall against native code,
and libraries that fetch samples or weights of their own accord are stopped by it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

NEW_USER, NEW_NET = 0x10000000, 0x40000000  # <linux/sched.h>
REFUSED = frozenset(
    {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
     "socket.gethostbyname", "socket.gethostbyaddr"}
)  # fmt: skip
LOCAL = 1  # AF_UNIX: other processes of this machine


def cut_off() -> bool:
    """Cut this process off; whether the kernel does it, too. Call it before any thread starts."""
    sys.addaudithook(_refuse)
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NET) == 0:  # root may
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(NEW_USER | NEW_NET) != 0:
        return False
    with suppress(OSError):  # without a map the user is called nobody, and may do as much
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


def _refuse(event: str, given: tuple[Any, ...]) -> None:
    if event not in REFUSED:
        return
    if given and getattr(given[0], "family", None) == LOCAL:
        return
    raise PermissionError(f"the network is off here: {event}")
