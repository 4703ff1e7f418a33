"""The engine: from Jobs to Outcomes, through the cache, within the limits, telling events."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Self

from edgeopt.engine.claims import LOOK_S, Claims
from edgeopt.engine.executors import Executor, Told
from edgeopt.engine.executors.lanes import Bench
from edgeopt.engine.executors.local import LocalExecutor
from edgeopt.engine.schedule import Schedule
from edgeopt.schema.errors import EdgeoptError, StoreError, from_record
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job, Outcome, Request
from edgeopt.schema.job_words import job_in_words
from edgeopt.store import Store


class Engine:
    """Runs jobs until ``close``; workers stay warm from one ``run`` to the next.

    ``bench`` runs scores and races. ``slots`` is how many jobs run at once (default: one a
    usable core). Past ``deadline`` (``time.monotonic()``) no job is started that the cache
    cannot answer. ``executor`` says where jobs run; this machine, unless given, where ``memory``
    bounds what all processes hold together, in bytes, and ``make_environments`` says whether
    tool environments may be made.
    """

    def __init__(
        self,
        store: Store,
        *,
        on_event: Callable[[Event], None],
        bench: Bench,
        slots: int | None = None,
        deadline: float | None = None,
        executor: Executor | None = None,
        memory: int | None = None,
        make_environments: bool = False,
    ) -> None:
        self.store = store
        self._on_event = on_event
        self._slots = max(1, slots or len(os.sched_getaffinity(0)))
        self._deadline = float("inf") if deadline is None else deadline
        self._executor: Executor = executor or LocalExecutor(
            store, bench, memory=memory, make_environments=make_environments
        )
        self._claims = Claims(store)
        self._inbox: SimpleQueue[Outcome | Told | None] = SimpleQueue()
        self._closed = False
        self._further: Callable[[Outcome], Sequence[Job]] | None = None  # of the run now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill workers and agents and sweep up after them; a ``run`` in another thread ends.

        Idempotent.
        """
        self._closed = True
        self._executor.stop()
        self._claims.close()
        self._inbox.put(None)
        with contextlib.suppress(StoreError):
            self.store.sweep()

    def run(
        self,
        jobs: Sequence[Job],
        known: Mapping[str, Outcome],
        further: Callable[[Outcome], Sequence[Job]] | None = None,
    ) -> dict[str, Outcome]:
        """One outcome a job, in the order given; ``known`` holds those of earlier jobs.

        ``further`` is told each outcome and gives the jobs that it makes possible; these come
        after all others, and wait for no job that is not known by then.

        A job's failure is an outcome: what depends on it is ``skipped``, naming the cause,
        and the rest goes on. Raises StoreError when the store fails (a candidate must not
        lose to a full disk), ValueError for a graph that is none, and KeyboardInterrupt,
        each after all children are gone.
        """
        if self._closed:
            raise EdgeoptError("the engine is closed")
        schedule = Schedule(jobs, known, self._slots)
        self._further = further
        try:
            self._emit(Event(what="plan", total=len(jobs) - len(schedule.outcomes)))
            while not schedule.over:
                self._advance(schedule)
                if not schedule.over:
                    self._listen(schedule)
        except BaseException:
            self.close()
            raise
        return schedule.in_order()

    def _listen(self, schedule: Schedule) -> None:
        """Act on what a lane tells next; look at times at what other processes work on."""
        try:
            message = self._inbox.get(timeout=LOOK_S if self._claims.waits else None)
        except Empty:
            return
        if message is None or self._closed:
            raise EdgeoptError("the engine was closed")
        self._take(schedule, message)

    def _advance(self, schedule: Schedule) -> None:
        """Settle what needs no work, then start what may start."""
        while True:
            self._settle(schedule)
            if not self._start(schedule):
                return

    def _settle(self, schedule: Schedule) -> None:
        """End or queue what is released, and end what is late."""
        while True:
            released = schedule.released()
            for job in released:
                key = job.cache_key(schedule.digests(job))
                if outcome := self._at_once(schedule, job, key):
                    self._end(schedule, outcome)
                else:
                    schedule.enqueue(job, key)
            late = schedule.queued if time.monotonic() >= self._deadline else ()
            for job in late:
                self._end(schedule, _cancelled(job))
            if not released and not late:
                return

    def _start(self, schedule: Schedule) -> bool:
        """Start what may start; whether another process has ended some of it meanwhile."""
        elsewhere: dict[str, str] = {}
        ended = False
        while started := schedule.start(elsewhere):
            for job, key in started:
                if job.cache and not self._claims.take(job.id, key):
                    schedule.put_back(job)
                    elsewhere[job.id] = key
                elif outcome := self._kept(job, key):
                    self._end(schedule, outcome)
                    ended = True
                else:
                    self._ask(schedule, job, key)
        for id, note in self._claims.awaited(elsewhere):
            self._emit(Event(what="note", job=id, text=note))
        return ended

    def _ask(self, schedule: Schedule, job: Job, key: str) -> None:
        data = {"kind": job.kind, "worker": job.worker}
        self._emit(Event(what="start", job=job.id, text=job.name, data=data))
        inputs = {role: schedule.ended(id) for role, id in job.inputs.items()}
        request = Request(job=job, inputs=inputs, store=str(self.store.root), workdir="", key=key)
        self._executor.start(request, self._inbox.put)

    def _at_once(self, schedule: Schedule, job: Job, key: str) -> Outcome | None:
        """The outcome of a released job where no work is needed or possible."""
        if cause := schedule.cause(job):
            return _cancelled(job) if cause.status == "cancelled" else _skipped(job, cause)
        return self._kept(job, key)

    def _kept(self, job: Job, key: str) -> Outcome | None:
        """The outcome that the store has of a key."""
        if job.cache and (kept := self.store.outcome(key)):
            return kept.model_copy(update={"job": job.id, "cached": True})
        return None

    def _take(self, schedule: Schedule, message: Outcome | Told) -> None:
        """Act on what a lane told."""
        if message.job not in schedule.running:
            return
        if isinstance(message, Told) and message.note:
            self._emit(Event(what="note", job=message.job, text=message.note))
            return
        if isinstance(message, Told):
            done, total, data = message.done, message.total, dict(message.figures)
            self._emit(Event(what="progress", job=message.job, done=done, total=total, data=data))
            return
        if message.error and message.error["type"] == StoreError.__name__:
            raise from_record(message.error)
        if message.ok and schedule.job(message.job).cache:
            self.store.keep(message)
        self._end(schedule, message)

    def _end(self, schedule: Schedule, outcome: Outcome) -> None:
        job = schedule.job(outcome.job)
        self._claims.release(job.id)
        data = {
            "kind": job.kind,
            "status": outcome.status,
            "cached": outcome.cached,
            "seconds": outcome.seconds,
            "error": outcome.error,
        }
        twins = schedule.settle(outcome)
        self._emit(Event(what="end", job=job.id, text=job.name, data=data))
        if self._further and (more := schedule.add(self._further(outcome))):
            self._emit(Event(what="plan", total=more))
        for twin in twins:
            self._end(schedule, outcome.model_copy(update={"job": twin.id, "cached": outcome.ok}))

    def _emit(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:
            logging.getLogger("edgeopt").exception("a listener failed on %s", event.what)


def _skipped(job: Job, cause: Outcome) -> Outcome:
    """The outcome of a job whose input failed; the first cause is named, not the last link."""
    error = dict(cause.error or {"type": "EdgeoptError", "what": cause.status})
    if cause.status != "skipped":
        error["what"] = (
            f"needs '{job_in_words(cause.job)}', which {_ENDED[cause.status]}: {error['what']}"
        )
    return Outcome(job=job.id, status="skipped", error={**error, "where": job.id})


_ENDED = {
    "failed": "failed",
    "crashed": "crashed",
    "timeout": "ran out of time",
    "memory": "ran out of memory",
}


def _cancelled(job: Job) -> Outcome:
    error = EdgeoptError("not started: the time limit of the run was reached", where=job.id)
    return Outcome(job=job.id, status="cancelled", error=error.record())
