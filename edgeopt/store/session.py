"""Who is using a store: one locked session a Store object, with a folder for its rough work.

Locks are flock(2)s: the kernel drops them when their holder dies, however it dies, so a
session folder that can be locked belongs to nobody and is swept. ``LOCK`` is held shared by
every session and exclusively while garbage is collected.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgeopt.schema.errors import StoreError

LOCK = "lock"
ROUGH = "tmp"


class Session:
    """A shared lock on a store and a folder below its ``tmp`` that dies with the process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pid = os.getpid()
        (root / ROUGH).mkdir(parents=True, exist_ok=True)
        self._lock = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            self.folder, self._claim = _claimed_folder(root / ROUGH)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Drop the locks and the folder. In a forked child it does nothing."""
        if self._lock < 0 or self.pid != os.getpid():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._claim)
        os.close(self._lock)
        self._lock = -1

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the store exclusively. Raises StoreError while another session is open."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._lock, fcntl.LOCK_SH)  # a failed upgrade drops the old lock
            raise StoreError(
                "the store is in use by another process",
                where=str(self.root),
                hint="wait until the runs that use it have ended",
            ) from None
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_SH)


def sweep(root: Path) -> int:
    """Remove the session folders of processes that are gone; returns how many."""
    swept = 0
    for folder in (root / ROUGH).iterdir():
        with contextlib.suppress(OSError):  # another sweeper was faster, or it is in use
            claim = _claim(folder)
            try:
                shutil.rmtree(folder)
                swept += 1
            finally:
                os.close(claim)
    return swept


def _claimed_folder(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
        with contextlib.suppress(OSError):  # swept between its birth and the lock: again
            claim = _claim(folder)
            if folder.exists():
                return folder, claim
            os.close(claim)


def _claim(folder: Path) -> int:
    """A locked descriptor of ``folder``. Raises OSError if it is locked or gone."""
    claim = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(claim)
        raise
    return claim
