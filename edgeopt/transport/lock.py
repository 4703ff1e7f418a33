"""One bench lock a machine: nothing else works while something is timed."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgeopt.schema.errors import DeviceError

LOOK_S = 0.02
PATIENCE_S = 3.0


@contextlib.contextmanager
def bench_lock(
    exclusive: bool,
    cancelled: threading.Event | None = None,
    waiting: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Hold the machine's lock: exclusively to time, shared to work. Waits for it, and calls
    ``waiting`` once if that takes more than a few seconds.

    Who wants to time first takes the gate, which everyone passes, so that a stream of
    workers cannot keep it waiting for ever. A thread must not take the lock twice. Raises
    DeviceError when ``cancelled`` is set meanwhile, or where the file cannot be opened.
    """
    folder = Path(tempfile.gettempdir())
    with contextlib.ExitStack() as held, contextlib.ExitStack() as gate:
        for name, stack in (("gate", gate), ("lock", held)):
            _take(folder / f"edgeopt-bench.{name}", exclusive, stack, cancelled, waiting)
        if not exclusive:
            gate.close()
        yield


def timing_wanted() -> bool:
    """Whether somebody times on this machine, or waits for those who work, to do so.

    Raises DeviceError where the lock cannot be opened.
    """
    handle = _open(Path(tempfile.gettempdir()) / "edgeopt-bench.gate")
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextlib.contextmanager
def device_lock(
    name: str, cancelled: threading.Event | None, waiting: Callable[[], None]
) -> Iterator[None]:
    """Hold a device that has no lock of its own, alone of all on this machine.

    Waits as ``bench_lock`` does, and raises what it raises.
    """
    path = Path(tempfile.gettempdir()) / f"edgeopt-{name.replace(':', '-')}.lock"
    with contextlib.ExitStack() as held:
        _take(path, True, held, cancelled, waiting)
        yield


def _take(
    path: Path,
    exclusive: bool,
    stack: contextlib.ExitStack,
    cancelled: threading.Event | None,
    waiting: Callable[[], None],
) -> None:
    handle = _open(path)
    patience = time.monotonic() + PATIENCE_S
    stack.callback(os.close, handle)
    how = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    while True:
        if cancelled is not None and cancelled.is_set():
            raise DeviceError("cancelled while waiting for a lock", where=str(path))
        try:
            return fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_S)
        if time.monotonic() > patience:
            patience = math.inf
            waiting()


def _open(path: Path) -> int:
    """Open the file, made by whichever user came first; reading is enough to lock it."""
    try:
        with contextlib.suppress(FileExistsError):
            flags = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            return os.open(path, flags, 0o644)
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise DeviceError(
            f"cannot open a lock: {error.strerror}",
            where=str(path),
            hint="Set TMPDIR to a folder that all who measure on this machine can read.",
        ) from error
