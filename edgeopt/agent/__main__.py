"""``python -m edgeopt.agent FOLDER [MEMORY]``: serves one host on standard input and output.

FOLDER is where the host puts files, each named by its SHA-256; MEMORY, in bytes, bounds the
address space. ``python -m edgeopt.agent --keep FOLDER`` keeps a device for the host instead.
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
import select  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from typing import Any, Dict, Tuple  # noqa: E402

from . import protocol  # noqa: E402
from .serve import Agent  # noqa: E402
from .supervisor import Supervisor  # noqa: E402

IDLE_S = 1800.0  # a host that asks nothing for so long is gone, though its pipe is open
Asked = Tuple[Dict[str, Any], protocol.Arrays]


def main() -> None:
    """Answer requests one by one until the host closes the pipe or dies."""
    words = sys.argv[1:]
    if len(words) not in (1, 2):
        raise SystemExit(__doc__)
    agent: Any
    if words[0] == "--keep":
        agent = Supervisor(words[1])
    else:
        _die_with_parent()
        _bound_memory(*words[1:])
        os.environ["TMPDIR"] = words[0]  # what runtimes leave there goes with the folder
        agent = Agent(words[0])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: _end(agent, 1))
    inbox: "queue.Queue[Asked]" = queue.Queue(maxsize=4)
    threading.Thread(target=_listen, args=(inbox, agent), name="listen", daemon=True).start()
    while True:
        frame = agent.answer(*inbox.get())
        agent.used()
        _write(frame)


def _listen(inbox: "queue.Queue[Asked]", agent: Any) -> None:
    """Queue requests; end the process, mid-inference too, as soon as the host is gone."""
    code = 0
    try:
        while True:
            inbox.put(protocol.unpack(lambda count: _read(count, agent)))
    except EOFError:
        pass
    except BaseException as error:  # nobody is above this thread to report it
        sys.stderr.write("agent: {}\n".format(error))
        code = 1
    finally:
        _end(agent, code)


def _end(agent: Any, code: int) -> None:
    try:
        agent.leave()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _read(count: int, agent: Any) -> bytes:
    chunks = bytearray()
    while len(chunks) < count:
        if not select.select([_REQUESTS], [], [], IDLE_S)[0]:
            if agent.is_used(IDLE_S):
                continue
            raise EOFError
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
        import ctypes  # not on every board

        set_death_signal = 1  # PR_SET_PDEATHSIG, <linux/prctl.h>
        ctypes.CDLL(None).prctl(set_death_signal, int(signal.SIGKILL), 0, 0, 0)


def _bound_memory(limit: str = "0") -> None:
    """No more address space than that, in bytes; 0 is unbounded."""
    if int(limit):
        import resource  # not on every system

        resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))


if __name__ == "__main__":
    main()
