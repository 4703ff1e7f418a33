"""``python -m edgeopt.agent FOLDER``: serves one host on standard input and output.

FOLDER is where the host puts files, each named by its SHA-256.
"""

from __future__ import annotations

import os

# Before any other import: what a runtime prints must not end up between frames, and what
# it reads must not be a frame.
_ANSWERS = os.dup(1)
_REQUESTS = os.dup(0)
os.dup2(2, 1)
_NULL = os.open(os.devnull, os.O_RDONLY)
os.dup2(_NULL, 0)
os.close(_NULL)

import queue  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from typing import Any, Dict  # noqa: E402

from . import protocol  # noqa: E402
from .serve import Agent  # noqa: E402


def main() -> None:
    """Answer requests one by one until the host closes the pipe or dies."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    _die_with_parent()
    inbox: "queue.Queue[Dict[str, Any]]" = queue.Queue(maxsize=64)
    threading.Thread(target=_listen, args=(inbox,), name="listen", daemon=True).start()
    agent = Agent(sys.argv[1])
    while True:
        request = inbox.get()
        _write(agent.answer(request))


def _listen(inbox: "queue.Queue[Dict[str, Any]]") -> None:
    """Queue requests; end the process, mid-inference too, as soon as the host is gone."""
    code = 0
    try:
        while True:
            inbox.put(protocol.unpack(_read)[0])
    except EOFError:
        pass
    except BaseException as error:  # nobody is above this thread to report it
        sys.stderr.write("agent: {}\n".format(error))
        code = 1
    finally:
        sys.stderr.flush()
        os._exit(code)


def _read(count: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < count:
        chunk = os.read(_REQUESTS, min(count - len(chunks), 1 << 20))
        if not chunk:
            raise EOFError
        chunks += chunk
    return bytes(chunks)


def _write(frame: bytes) -> None:
    view = memoryview(frame)
    while view:
        view = view[os.write(_ANSWERS, view) :]


def _die_with_parent() -> None:
    """SIGKILL when the thread that started this process ends (Linux); elsewhere the pipe tells."""
    if sys.platform.startswith("linux"):
        import ctypes
        import signal

        set_death_signal = 1  # PR_SET_PDEATHSIG, <linux/prctl.h>
        ctypes.CDLL(None).prctl(set_death_signal, int(signal.SIGKILL), 0, 0, 0)


if __name__ == "__main__":
    main()
