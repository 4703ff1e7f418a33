"""Which job may start now: outcomes in, jobs out; no clock, no process, no store."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from edgeopt.schema.job import Job, Outcome
from edgeopt.schema.target import Target, parse_target
from edgeopt.transport.kinds import works_here

BENCH = "bench"


def board_of(job: Job) -> str:
    """The device that a score or race works on where that is another machine, else nothing."""
    target = _target_of(job)
    return "" if target is None or works_here(target.device) else target.device


def lane_of(job: Job) -> str:
    """The lane that runs a job: one job at a time in each.

    A lane for each board, and one for the scores of each runtime on this machine's CPU; what
    an accelerator computes goes one by one, for its memory.
    """
    if job.kind not in ("score", "race"):
        return job.worker
    target = _target_of(job)
    if target is None:
        return BENCH
    if not works_here(target.device):
        return f"{BENCH} {target.device}"
    if job.kind == "score" and target.accelerator == "cpu":
        return f"{BENCH} {target.device}/{target.runtime}"
    return BENCH


def _target_of(job: Job) -> Target | None:
    """The target of a score or of a race's first side."""
    targets = job.params.get("targets") if job.kind in ("score", "race") else None
    return parse_target(str(next(iter(targets.values())))) if targets else None


def race_of(job: Job) -> bool:
    """Whether a job must have this machine for itself."""
    return job.kind == "race" and not board_of(job)


def gives_way(job: Job) -> bool:
    """Whether a job waits while another run times on this machine.

    What only reads does not: models, data, and what a runtime makes of one file. A race takes the
    machine's lock itself, and what another machine works on disturbs nobody here.
    """
    reads = job.kind in ("open", "data") or (job.kind, job.name) == ("analysis", "conversion")
    return not (reads or race_of(job) or board_of(job))


class Schedule:
    """The state of one ``Engine.run``.

    A job is *released* when all that it waits for has ended, *queued* once the engine has
    given it a key, *running* once started, and settled by an outcome. Jobs of the same key
    run once: the others wait for it. Races run one by one, when nothing else can; what runs on
    another machine takes no slot and waits for its own lane only. A job that ``known`` has an
    outcome of keeps that one, unless it must be fresh (``cache=False``).

    Raises ValueError for ids that stand twice or that nobody knows, and for a cycle.
    """

    def __init__(self, jobs: Sequence[Job], known: Mapping[str, Outcome], slots: int) -> None:
        self.outcomes = {job.id: known[job.id] for job in jobs if job.cache and job.id in known}
        self._known = known
        self._slots = slots
        self._jobs = {job.id: job for job in jobs}
        if len(self._jobs) != len(jobs):
            ids = [job.id for job in jobs]
            raise ValueError(f"jobs of the same id: {sorted({i for i in ids if ids.count(i) > 1})}")
        self._queue: dict[str, tuple[Job, str]] = {}  # id -> job and key
        self._running: dict[str, str] = {}  # id -> key
        self._order = {job.id: number for number, job in enumerate(jobs)}
        self._planned = frozenset(self._jobs)  # what the graph knows
        self._added: dict[str, Job] = {}  # what came later and is not released
        self._graph = self._checked_graph(jobs)

    def _checked_graph(self, jobs: Sequence[Job]) -> TopologicalSorter[str]:
        graph: TopologicalSorter[str] = TopologicalSorter()
        for job in jobs:
            self._check_known(job)
            graph.add(job.id, *sorted(set(_waits_for(job)) & set(self._jobs)))
        try:
            graph.prepare()
        except CycleError as error:
            raise ValueError(f"jobs wait for each other: {' -> '.join(error.args[1])}") from error
        return graph

    def add(self, jobs: Sequence[Job]) -> int:
        """Take jobs in that became possible; how many of them have no outcome yet.

        Raises ValueError for an id that stands already, and for a wait for an unknown job.
        """
        for job in jobs:
            if job.id in self._jobs:
                raise ValueError(f"jobs of the same id: {[job.id]}")
            self._order[job.id] = len(self._order)
            self._jobs[job.id] = job
        for job in jobs:
            self._check_known(job)
            if job.cache and job.id in self._known:
                self.outcomes[job.id] = self._known[job.id]
            else:
                self._added[job.id] = job
        return sum(job.id in self._added for job in jobs)

    def in_order(self) -> dict[str, Outcome]:
        """The outcomes, in the order in which jobs were given."""
        return {id: self.outcomes[id] for id in self._order}

    def _check_known(self, job: Job) -> None:
        unknown = sorted(set(_waits_for(job)) - set(self._jobs) - set(self._known))
        if unknown:
            raise ValueError(f"job '{job.id}' waits for the unknown job '{unknown[0]}'")

    @property
    def over(self) -> bool:
        """Whether every job has an outcome."""
        return len(self.outcomes) == len(self._jobs)

    @property
    def running(self) -> tuple[str, ...]:
        """Ids of the jobs that run."""
        return tuple(self._running)

    @property
    def queued(self) -> tuple[Job, ...]:
        """Jobs that wait for their turn, in the order of the plan."""
        return tuple(self._queue[id][0] for id in sorted(self._queue, key=self._order.__getitem__))

    def released(self) -> list[Job]:
        """Jobs for which all that they wait for has ended, each once, in the plan's order."""
        found = []
        while ready := self._graph.get_ready():
            for id in ready:
                if id in self.outcomes:  # known from an earlier run
                    self._graph.done(id)
                else:
                    found.append(self._jobs[id])
        for job in list(self._added.values()):
            if all(id in self.outcomes or id not in self._jobs for id in _waits_for(job)):
                found.append(self._added.pop(job.id))
        return sorted(found, key=lambda job: self._order[job.id])

    def job(self, id: str) -> Job:
        """The job of that id. Raises KeyError."""
        return self._jobs[id]

    def ended(self, id: str) -> Outcome:
        """The outcome of a job of this run or an earlier one. Raises KeyError."""
        return self.outcomes[id] if id in self.outcomes else self._known[id]

    def cause(self, job: Job) -> Outcome | None:
        """The first outcome that keeps a released job from running."""
        return next((o for o in map(self.ended, _waits_for(job)) if not o.ok), None)

    def digests(self, job: Job) -> dict[str, str]:
        """What the inputs of a released job came out as, by role."""
        return {role: self.ended(id).digest for role, id in job.inputs.items()}

    def enqueue(self, job: Job, key: str) -> None:
        """Let a released job wait for its turn."""
        self._queue[job.id] = job, key

    def start(self, without: Container[str] = ()) -> list[tuple[Job, str]]:
        """The jobs to start now, with their keys; they count as running from here on.

        Those ``without`` are left where they are, and hold up nobody.
        """
        started = []
        queued = [job for job in self.queued if job.id not in without]
        for job in queued:
            if not race_of(job) and self._may_start(job, self._queue[job.id][1]):
                started.append(self._begin(job))
        if not self._here():
            race = next((job for job in queued if race_of(job)), None)
            started += [self._begin(race)] if race else []
        return started

    def put_back(self, job: Job) -> None:
        """Let a job that was just started wait for its turn again."""
        self._queue[job.id] = job, self._running.pop(job.id)

    def settle(self, outcome: Outcome) -> list[Job]:
        """Take a job's outcome; gives the queued jobs of the same key, which it settles too."""
        id = outcome.job
        key = self._running.pop(id, None)
        self._queue.pop(id, None)
        self.outcomes[id] = outcome
        if id in self._planned:
            self._graph.done(id)
        if key is None or not self._jobs[id].cache:
            return []
        return [job for job in self.queued if self._queue[job.id][1] == key and job.cache]

    def _begin(self, job: Job) -> tuple[Job, str]:
        _, key = self._queue.pop(job.id)
        self._running[job.id] = key
        return job, key

    def _here(self) -> list[Job]:
        """The running jobs that this machine works on."""
        return [self._jobs[id] for id in self._running if not board_of(self._jobs[id])]

    def _may_start(self, job: Job, key: str) -> bool:
        if job.cache and key in self._running.values():
            return False
        if any(lane_of(self._jobs[id]) == lane_of(job) for id in self._running):
            return False
        here = self._here()
        return bool(board_of(job)) or (
            len(here) < self._slots and not any(race_of(other) for other in here)
        )


def _waits_for(job: Job) -> Iterable[str]:
    return (*job.inputs.values(), *job.needs)
