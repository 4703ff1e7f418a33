"""Work that takes hours pauses while somebody times something on this machine.

A job holds the bench lock as long as it runs, and a race waits for it: fine for seconds. A
job that may run for longer gives the lock back when a race wants it, its worker stopped
meanwhile (SIGSTOP keeps all it holds), and goes on when the race is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from edgeopt.schema.errors import DeviceError
from edgeopt.transport.lock import bench_lock, timing_wanted

LOOK_S = 0.5  # how often it is looked whether somebody waits


@contextmanager
def shared_lock(
    stopped: threading.Event,
    waiting: Callable[[], None],
    pause: Callable[[bool], None] | None,
) -> Iterator[None]:
    """Hold the bench lock to work. With ``pause``, which stops (True) and continues (False) the
    work, give it back as often and as long as somebody times. Raises as ``bench_lock`` does.
    """
    over = threading.Event()
    with ExitStack() as held:
        held.enter_context(bench_lock(False, stopped, waiting))
        if pause is None:
            yield
            return
        watch = threading.Thread(target=_watch, args=(held, over, pause), daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()


def _watch(held: ExitStack, over: threading.Event, pause: Callable[[bool], None]) -> None:
    while not over.wait(LOOK_S):
        if timing_wanted():
            pause(True)
            held.close()
            with suppress(DeviceError):  # the work has ended meanwhile: killed, or out of time
                held.enter_context(bench_lock(False, over))
            pause(False)
