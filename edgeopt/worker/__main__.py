"""``python -P -m edgeopt.worker NAME``: answers requests, a JSON line each, until its parent ends.

A ``Request`` on standard input is answered on what was standard output by any number of
``{"progress": {...}}`` lines and one ``{"outcome": {...}}`` line. Whatever libraries and
user code print goes to standard error, and they find standard input empty. ``--offline`` before
the name: without network.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import BinaryIO

from edgeopt.worker.offline import cut_off


def main() -> None:
    requests, replies = _take_pipes()
    _die_with_parent()
    if sys.argv[1:] == ["onnx"]:
        sys.modules["torch"] = None  # type: ignore[assignment] # onnxsim would import it: seconds
    if "--offline" in sys.argv[1:]:
        cut_off()  # before any library can connect
    from edgeopt.worker.loop import serve  # once no import can print to the pipe

    serve(requests, replies)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Private copies of fd 0 and 1, closed in children; 0 then reads nothing and 1 is 2."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), os.fdopen(replies, "wb", buffering=0)


def _die_with_parent() -> None:
    """Have Linux kill this process when the thread that started it ends.

    It is the second way: the first, the end of standard input, needs a thread to run here,
    and native code may hold it up.
    """
    if sys.platform == "linux":
        import ctypes  # of Linux alone

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGKILL), 0, 0, 0)


if __name__ == "__main__":
    main()
