"""Lanes: each runs one job at a time, in a thread that lives as long as it may be needed."""

from __future__ import annotations

import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ClassVar

import psutil

from edgeopt.engine.executors import Tell, Told
from edgeopt.engine.executors.breaks import shared_lock
from edgeopt.engine.executors.memory import MemoryBound
from edgeopt.engine.executors.process import LostWorkerError, WorkerProcess
from edgeopt.engine.schedule import gives_way
from edgeopt.schema.errors import DeviceError, EdgeoptError, WorkerError
from edgeopt.schema.job import Limits, Outcome, Request, Status
from edgeopt.store import Store

Progress = Callable[..., None]
Bench = Callable[[Request, Progress, threading.Event], tuple[str, dict[str, Any]]]

TIME_S = 600.0  # a job's limit where it states none
MEMORY_SHARE = 0.8  # of the machine's memory, likewise
WAITS = "waiting for another run of edgeopt on this machine to finish timing"


class Lane(ABC):
    """Runs what it is given, one after the other, in a thread that lives until ``stop``.

    The thread is a daemon: the end of the parent waits for no lane, and the kernel takes a
    lane's children along with its thread.
    """

    blamed: ClassVar[type[EdgeoptError]] = WorkerError  # for what foreign code raises

    def __init__(self, name: str, store: Store, bound: MemoryBound | None) -> None:
        self.store, self.bound = store, bound
        self.busy = False
        self.stopped = threading.Event()
        self._tasks: SimpleQueue[tuple[Request, Tell] | None] = SimpleQueue()
        self._thread = threading.Thread(name=f"edgeopt-{name}", target=self._run, daemon=True)

    def put(self, request: Request, tell: Tell) -> None:
        """Run a request when those before it have ended."""
        if not self._thread.ident:
            self._thread.start()
        self._tasks.put((request, tell))

    def stop(self) -> None:
        """Have the lane end soon, what it runs at once. From any thread."""
        self.stopped.set()
        self._tasks.put(None)
        self.put_down()

    def join(self, seconds: float) -> None:
        """Wait for the lane's end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while (task := self._tasks.get()) and not self.stopped.is_set():
            request, tell = task
            self.busy = True
            outcome = self._outcome(request, tell)
            self.busy = False
            tell(outcome)
        self.put_down()

    @abstractmethod
    def put_down(self) -> None:
        """Kill what runs. From any thread."""

    @abstractmethod
    def pause(self, stopped: bool) -> None:
        """Stop what runs where it stands, or let it go on. From any thread."""

    @abstractmethod
    def perform(self, request: Request, limits: Limits, tell: Tell) -> Outcome:
        """The outcome of a request. May raise LostWorkerError and EdgeoptError."""

    def get_ready(self, request: Request, tell: Tell) -> None:
        """Have what must be there before a job begins and is no part of it: nothing, unless a lane
        says else. May raise EdgeoptError."""
        return

    def _outcome(self, request: Request, tell: Tell) -> Outcome:
        job = request.job
        limits = Limits(
            time_s=job.limits.time_s or TIME_S,
            memory_bytes=job.limits.memory_bytes
            or int(MEMORY_SHARE * psutil.virtual_memory().total),
        )
        status: Status = "failed"
        error: EdgeoptError
        started = time.monotonic()
        try:
            self.get_ready(request, tell)
            started = time.monotonic()
            with ExitStack() as stack:
                workdir = stack.enter_context(self.store.workdir())
                if gives_way(job):
                    long = (limits.time_s or 0.0) > TIME_S
                    stack.enter_context(
                        shared_lock(
                            self.stopped,
                            lambda: tell(Told(job.id, note=WAITS)),
                            self.pause if long else None,
                        )
                    )
                asked = request.model_copy(update={"workdir": str(workdir)})
                perform = partial(self.perform, asked, limits, tell)
                if self.bound is None:
                    started = time.monotonic()
                    outcome, seconds = perform(), time.monotonic() - started
                else:
                    outcome, seconds = self.bound.perform(
                        job.id, perform, self.put_down, self.stopped
                    )
                return outcome.model_copy(update={"key": request.key, "seconds": seconds})
        except LostWorkerError as lost:
            status, error = lost.status, lost.error
        except EdgeoptError as raised:
            error = raised
            error.where = error.where or job.id
        except Exception as raised:  # a lane must outlive whatever it runs
            last = traceback.extract_tb(raised.__traceback__)[-1]
            error = self.blamed(
                f"{job.kind} {job.name} failed: {type(raised).__name__}: {raised}",
                where=job.id,
                hint=f"raised in {last.filename}:{last.lineno} ({last.name})",
            )
        return Outcome(
            job=job.id,
            status=status,
            key=request.key,
            error=error.record(),
            seconds=time.monotonic() - started,
        )


class WorkerLane(Lane):
    """A lane with a warm worker process."""

    def __init__(
        self,
        name: str,
        store: Store,
        bound: MemoryBound | None,
        command: Sequence[str],
        log: Path,
    ) -> None:
        super().__init__(name, store, bound)
        self._name, self._command, self._log = name, command, log
        self._worker: WorkerProcess | None = None
        self._changing = threading.Lock()

    def perform(self, request: Request, limits: Limits, tell: Tell) -> Outcome:
        worker = self._ready_worker()
        outcome = worker.ask(
            request, limits, lambda progress: tell(Told(job=request.job.id, **progress))
        )
        if outcome.status not in ("ok", "failed"):
            worker.kill()
        return outcome

    def put_down(self) -> None:
        with self._changing:
            if self._worker:
                self._worker.kill()

    def pause(self, stopped: bool) -> None:
        with self._changing:
            if self._worker:
                self._worker.pause(stopped)

    def _ready_worker(self) -> WorkerProcess:
        with self._changing:
            if self.stopped.is_set():
                raise WorkerError("the engine was stopped")
            if self._worker is None or not self._worker.alive:
                if self._worker:
                    self._worker.kill()
                try:
                    self._worker = self.started()
                except OSError as error:
                    raise WorkerError(f"cannot start a worker: {error}") from error
            return self._worker

    def started(self) -> WorkerProcess:
        """A new worker."""
        return WorkerProcess(self._command, self._name, self._log)


class BenchLane(Lane):
    """A lane that scores and races in this process; what it runs watches for its cancel."""

    blamed = DeviceError

    def __init__(self, name: str, store: Store, bound: MemoryBound | None, bench: Bench) -> None:
        super().__init__(name, store, bound)
        self._bench = bench
        self._cancelled: threading.Event | None = None

    def perform(self, request: Request, limits: Limits, tell: Tell) -> Outcome:
        job, late = request.job, threading.Event()
        cancelled = self._cancelled = threading.Event()
        if self.stopped.is_set():
            raise WorkerError("the engine was stopped")

        def expire() -> None:
            late.set()
            cancelled.set()

        def progress(
            done: float, total: float | None = None, *, note: str = "", **figures: float
        ) -> None:
            tell(Told(job=job.id, done=done, total=total, figures=figures, note=note))

        timer = threading.Timer(limits.time_s or TIME_S, expire)
        timer.daemon = True
        timer.start()
        try:
            digest, value = self._bench(request, progress, cancelled)
        except Exception:
            if late.is_set():
                said = f"{job.kind} {job.name} ran longer than its limit of {limits.time_s:g} s"
                raise LostWorkerError("timeout", WorkerError(said, where=job.id)) from None
            raise
        finally:
            timer.cancel()
        return Outcome(job=job.id, status="ok", digest=digest, value=value)

    def pause(self, stopped: bool) -> None:
        """Nothing: what this lane runs is short, or times."""

    def put_down(self) -> None:
        if self._cancelled:
            self._cancelled.set()
