"""A bound on the memory that a run and all its processes hold together.

Proportional set sizes are summed ten times a second. Above two thirds of the bound, workers that
run nothing end, and no job starts beside another. Above the bound, the job that started last is
ended; it runs once more by itself, and fails if it does not fit then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from edgeopt.engine.executors.process import LostWorkerError
from edgeopt.schema.errors import WorkerError
from edgeopt.schema.job import Outcome

LOOK_S = 0.1
ROOM = 2 / 3  # of the bound: above, nothing starts beside another job


class MemoryBound:
    """``bound`` is in bytes. ``rest`` ends workers that run nothing."""

    def __init__(self, bound: int, rest: Callable[[], None]) -> None:
        self.bound, self._rest = bound, rest
        self._changed = threading.Condition()
        self._running: dict[str, Callable[[], None]] = {}  # what ends a job, the last begun last
        self._alone = ""  # the job that runs by itself
        self._ended: dict[str, int] = {}  # jobs that were ended, and what all held then
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="edgeopt-memory", daemon=True).start()

    def perform(
        self,
        job: str,
        run: Callable[[], Outcome],
        end: Callable[[], None],
        stopped: threading.Event,
    ) -> tuple[Outcome, float]:
        """The outcome of a job and its seconds, once it may run; ``end`` ends it, from any thread.

        Raises LostWorkerError where it does not fit by itself, and what ``run`` raises.
        """
        held = 0
        for alone in (False, True):
            self._enter(job, end, stopped, alone=alone)
            started, lost = time.monotonic(), None
            try:
                outcome = run()
            except Exception as error:
                lost = error
            finally:
                held = self._leave(job)
            if lost is None and (outcome.ok or not held):
                return outcome, time.monotonic() - started
            if lost is not None and not held:
                raise lost
        said = f"all processes held {held / 1e6:,.0f} MB, the limit is {self.bound / 1e6:,.0f} MB"
        hint = "raise limits.memory; this job was tried by itself, too"
        raise LostWorkerError("memory", WorkerError(said, where=job, hint=hint))

    def _enter(self, job: str, end: Callable[[], None], stopped: threading.Event,
              *, alone: bool = False) -> None:  # fmt: skip
        """Wait until a job may run; ``end`` ends it. Raises WorkerError where all is stopped."""
        while not stopped.is_set():
            with self._changed:
                if self._may(alone):
                    self._running[job] = end
                    self._alone = job if alone else self._alone
                    return
                self._changed.wait(LOOK_S)
        raise WorkerError("the engine was stopped")

    def _leave(self, job: str) -> int:
        """A job has ended: what all held when it was ended for it, else 0."""
        with self._changed:
            self._running.pop(job, None)
            self._alone = "" if self._alone == job else self._alone
            self._changed.notify_all()
            return self._ended.pop(job, 0)

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _may(self, alone: bool) -> bool:
        if self._alone or (alone and self._running):
            return False
        if held_together() <= ROOM * self.bound:
            return True
        self._rest()
        return not self._running or held_together() <= ROOM * self.bound

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            if (held := held_together()) <= self.bound:
                continue
            self._rest()
            time.sleep(LOOK_S)
            if (held := held_together()) <= self.bound:
                continue
            with self._changed:
                last = next(reversed(self._running), None)
                if last is None or last in self._ended:
                    continue
                self._ended[last] = held
                end = self._running[last]
            end()


def held_together(pid: int | None = None) -> int:
    """What a process, this one unless given, and all below it hold together, in bytes."""
    with suppress(psutil.Error):
        mine = psutil.Process(pid)
        return sum(_held(each.pid) for each in (mine, *mine.children(recursive=True)))
    return 0


def _held(pid: int) -> int:
    """Proportional set size, or the resident one where the system tells none; 0 of what is gone."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    with suppress(psutil.Error):
        resident: int = psutil.Process(pid).memory_info().rss
        return resident
    return 0
