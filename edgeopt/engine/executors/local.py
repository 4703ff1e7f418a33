"""Jobs on this machine: one lane, a thread with one job at a time, for each warm worker.

The lane ``bench`` runs scores and races in the parent, beside an agent; each board that is
another machine has such a lane of its own. Every other lane owns a worker process, started
when first needed and replaced after a fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from edgeopt.engine.executors import Tell
from edgeopt.engine.executors.lanes import Bench, BenchLane, Lane, WorkerLane
from edgeopt.engine.executors.memory import MemoryBound
from edgeopt.engine.executors.process import WORKER
from edgeopt.engine.executors.tool_lane import ToolLane
from edgeopt.engine.schedule import BENCH, lane_of
from edgeopt.environments import environments
from edgeopt.schema.errors import EdgeoptError
from edgeopt.schema.job import Request
from edgeopt.store import Store

FAREWELL_S = 10.0  # how long to wait for an agent to be gone


class LocalExecutor:
    """Runs each request in the lane its job belongs to.

    ``command`` starts a worker; the name of the lane is added to it. ``memory`` bounds what all
    processes hold together, in bytes. ``make_environments``: whether tool environments that
    are missing may be made.
    """

    def __init__(
        self,
        store: Store,
        bench: Bench,
        *,
        command: Sequence[str] = WORKER,
        memory: int | None = None,
        make_environments: bool = False,
    ) -> None:
        self._store, self._bench, self._command = store, bench, command
        self._may_make = make_environments
        self._bound = None if memory is None else MemoryBound(memory, self._rest)
        self._stack = ExitStack()
        self._logs = self._stack.enter_context(store.workdir())
        self._lanes: dict[str, Lane] = {}
        self._stopped = False

    def start(self, request: Request, tell: Tell) -> None:
        if self._stopped:
            raise EdgeoptError("the engine was stopped")
        name = lane_of(request.job)
        if name not in self._lanes:
            self._lanes[name] = self._lane(name)
        self._lanes[name].put(request, tell)

    def _lane(self, name: str) -> Lane:
        if name.partition(" ")[0] == BENCH:
            return BenchLane(name, self._store, self._bound, self._bench)
        log = self._logs / f"{name}.log"
        if env := environments().get(name):
            return ToolLane(env, self._store, self._bound, log, may_make=self._may_make)
        return WorkerLane(name, self._store, self._bound, self._command, log)

    def stop(self) -> None:
        self._stopped = True
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.stop()
        for lane in lanes:
            lane.join(FAREWELL_S)
        self._lanes.clear()
        if self._bound:
            self._bound.stop()
        self._stack.close()

    def _rest(self) -> None:
        """End the workers that run nothing. From any thread."""
        for lane in list(self._lanes.values()):
            if not lane.busy:
                lane.put_down()
