"""A race of two: both artifacts take turns in one agent process, in several fresh processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeopt.bench.agent_session import FALLBACK, AgentSession, FreshAgents
from edgeopt.bench.heat import REPEATS, cool
from edgeopt.bench.runs import SIDES, Pace, Run, Taken
from edgeopt.bench.task import Task
from edgeopt.schema.errors import ModelError
from edgeopt.schema.measurement import WIDE, Measurement
from edgeopt.schema.quantities import BUILT_IN
from edgeopt.stats.ratios import METHOD, Interval, geometric_interval, percentile
from edgeopt.store import Store
from edgeopt.transport.kinds import Lease

PERCENTILES = {
    known.name: float(known.short[1:]) for known in BUILT_IN if known.family == "latency"
}
SAMPLES = 64
HALF_WIDTH = WIDE  # of the log-ratio of medians
FEWEST_TURNS, MOST_LOOPS = 6, 400
ROUGH_LOOPS = 3
FAR = 3.0  # times the median: so high a percentile tells of the machine, not of the model
HOT = "{device} slowed down while it was timed; one process is repeated after it has cooled"

Progress = Callable[..., None]


@dataclass(frozen=True)
class Schedule:
    """How long a race takes: processes, turns a side in each, milliseconds a turn and warm-up.

    ``process_s`` bounds the turns of one process where single inferences are slow.
    """

    name: str
    processes: int
    most_processes: int
    turns: int
    turn_ms: float
    warm_ms: float
    process_s: float

    def taking(self, processes: int) -> Schedule:
        """The same with exactly so many processes."""
        return replace(self, processes=processes, most_processes=processes)


SCHEDULES = {
    "full": Schedule("full", 5, 15, turns=24, turn_ms=25.0, warm_ms=100.0, process_s=6.0),
    "short": Schedule("short", 3, 3, turns=12, turn_ms=20.0, warm_ms=60.0, process_s=2.0),
}


def race(
    task: Task,
    lease: Lease,
    store: Store,
    schedule: Schedule,
    progress: Progress,
    earlier: str = "",
) -> tuple[str, dict[str, Any]]:
    """Digest of the raw samples and the race's value, ratios being a over b.

    Processes are added until the half-width of the log-ratio of medians is at most 3% or
    the schedule's most are reached. ``earlier`` is the digest of the raw samples of a race of the
    same two that this one goes on with. A process in which the device throttled is taken again
    once it has cooled, twice a race at most. Raises ModelError, DeviceError, PlacementError.
    """
    task.put(lease, store)
    taken = Taken.from_json(json.loads(store.get_bytes(earlier))) if earlier else Taken()
    runs, hot = taken.runs, taken.hot
    with FreshAgents(lease, task) as agents:
        while not _enough(runs, schedule):
            with agents.one(schedule.processes - len(runs)) as agent:
                run = _process(agent, task, taken, schedule)
                if run.throttled and len(hot) < REPEATS and run.before:
                    hot.append(run)
                    note = HOT.format(device=task.device)
                    progress(len(runs), schedule.most_processes, note=note)
                    cool(agent, hot[0].before or run.before)
                    continue
            runs.append(run)
            ratio = geometric_interval([run.ratio(50.0) for run in runs]).value
            progress(len(runs), schedule.most_processes, ratio=ratio)
    assert taken.pace is not None
    samples = store.put_json(taken.to_json(schedule.name))
    how = f"{schedule.name} race: {taken.pace.turns} turns a side in each process, {METHOD}"
    frame = {"n": len(runs), "protocol": how, "samples": samples}
    return samples, value_of(runs, frame, taken.machines, taken.placed, sorted(taken.marks))


def _process(agent: AgentSession, task: Task, taken: Taken, schedule: Schedule) -> Run:
    """The turns of one fresh process; the first one's pace and placement are those of all."""
    run, marks = Run(_order(len(taken.runs))), taken.marks
    _open(agent, task, run)
    taken.pace = pace = taken.pace or _calibrate(agent, schedule)
    _take_turns(agent, run, pace)
    if not taken.placed:  # last in its process: the proof makes sessions of its own
        taken.placed = {side: agent.placement(side) for side in SIDES}
        marks += [FALLBACK] if agent.fallbacks else []
    taken.machines = {side: agent.machine(side) for side in SIDES}
    if agent.contended and "contended" not in marks:
        marks.append("contended")
    return run


def _order(index: int) -> str:
    """Who is loaded first, who starts: all four combinations in turn."""
    loading = "ab" if index % 2 == 0 else "ba"
    turns = "abba" if (index // 2) % 2 == 0 else "baab"
    return f"{loading} {turns}"


def _open(agent: AgentSession, task: Task, run: Run) -> None:
    """Open both; one is opened before for nothing, for the first in a process starts cold."""
    batch = task.batch
    agent.feed(take=SAMPLES, batch=batch)
    loading = run.order.partition(" ")[0]
    agent.open(loading[0])
    agent.close(loading[0])
    for side in loading:
        opened, what = agent.open(side), task.sides[side]
        if opened.batch not in (None, batch):
            raise ModelError(
                f"the model takes batches of {opened.batch}, the target asks for {batch}",
                where=f"{side} ({what.artifact.digest[:12]})",
                hint=f"measure it on {what.target.model_copy(update={'batch': opened.batch})}",
            )
        run.load_ns[side] = opened.load_ns
    run.load = agent.hello.machine.load


def _calibrate(agent: AgentSession, schedule: Schedule) -> Pace:
    """Loops that fill a turn, after inferences that filled the warm-up."""
    rough = _medians(agent, dict.fromkeys(SIDES, ROUGH_LOOPS))
    warm = {side: _loops(schedule.warm_ms, rough[side]) for side in SIDES}
    found = _medians(agent, warm)
    loops = {side: _loops(schedule.turn_ms, found[side]) for side in SIDES}
    pair_s = sum((loops[side] + 1) * found[side] for side in SIDES) / 1e3
    turns = int(np.clip(schedule.process_s / pair_s, FEWEST_TURNS, schedule.turns)) // 2 * 2
    return Pace(loops=loops, warm=warm, turns=turns, turn_s=pair_s / 2)


def _medians(agent: AgentSession, loops: Mapping[str, int]) -> dict[str, float]:
    """Milliseconds of one inference by side."""
    taken = agent.time([(side, loops[side]) for side in SIDES], timeout_s=300.0)
    return {side: percentile(ns, 50.0) for side, ns in zip(SIDES, taken, strict=True)}


def _loops(turn_ms: float, each_ms: float) -> int:
    return int(np.clip(round(turn_ms / each_ms), 1, MOST_LOOPS))


def _take_turns(agent: AgentSession, run: Run, pace: Pace) -> None:
    """Warm both, then let them alternate: a b b a a b b a ..., two turns a side a request."""
    _medians(agent, pace.warm)
    order = run.order.partition(" ")[2]
    run.before = agent.state()
    for _ in range(pace.turns // 2):
        planned = [(side, pace.loops[side]) for side in order]
        taken = agent.time(planned, timeout_s=60.0 + 40.0 * len(planned) * pace.turn_s)
        for side, ns in zip(order, taken, strict=True):
            run.turns[side].append(ns)
    run.after = agent.state()


def _enough(runs: Sequence[Run], schedule: Schedule) -> bool:
    if len(runs) < schedule.processes:
        return False
    if len(runs) >= schedule.most_processes:
        return True
    return geometric_interval([run.ratio(50.0) for run in runs]).half_width <= HALF_WIDTH


def value_of(
    runs: Sequence[Run],
    frame: dict[str, Any],
    machines: Mapping[str, str],
    placed: dict[str, dict[str, int]],
    marks: list[str],
) -> dict[str, Any]:
    """Measurements of the ratios and of each side, with what to know before believing them."""
    marks = [*marks, *(["throttled"] if any(run.throttled for run in runs) else [])]
    ratio: dict[str, Any] = {}
    sides: dict[str, dict[str, Any]] = {side: {} for side in SIDES}
    both = {"machine": " against ".join(dict.fromkeys(machines[side] for side in SIDES)), **frame}
    each = {side: {"machine": machines[side], **frame} for side in SIDES}
    for quantity, percent in PERCENTILES.items():
        interval = geometric_interval([run.ratio(percent) for run in runs])
        wide = ["wide"] if interval.half_width > HALF_WIDTH else []
        name, doubts = f"ratio.{quantity}", _doubts(runs, percent, SIDES)
        frame = {**both, "timed": _timed(runs, SIDES)}
        ratio[quantity] = _measurement(name, "x", interval, frame, [*marks, *wide, *doubts])
        for side in SIDES:
            times = geometric_interval([run.percentile(side, percent) for run in runs])
            doubts = _doubts(runs, percent, side)
            frame = {**each[side], "timed": _timed(runs, side)}
            sides[side][quantity] = _measurement(quantity, "ms", times, frame, [*marks, *doubts])
    for side in SIDES:
        loads = geometric_interval([run.load_ns[side] / 1e6 for run in runs])
        sides[side]["load_time"] = _measurement("load_time", "ms", loads, each[side], marks)
    return {
        "ratio": ratio,
        **sides,
        "placement": placed,
        "processes": len(runs),
        "marks": ratio["latency.p50"]["marks"],
        "load": [run.load for run in runs],
        "samples": frame["samples"],
    }


def _timed(runs: Sequence[Run], sides: Iterable[str]) -> int:
    """The fewest inferences that were timed of any of ``sides`` in one process."""
    return min(run.timed(side) for run in runs for side in sides)


def _doubts(runs: Sequence[Run], percent: float, sides: Iterable[str]) -> list[str]:
    """Marks of a percentile: no inference lies above it, or it lies far above the median."""
    few = _timed(runs, sides) * (100.0 - percent) < 100.0
    far = any(_typical(runs, side, percent) > FAR * _typical(runs, side, 50.0) for side in sides)
    return [*(["few"] if few else []), *(["far"] if far else [])]


def _typical(runs: Sequence[Run], side: str, percent: float) -> float:
    return geometric_interval([run.percentile(side, percent) for run in runs]).value


def _measurement(
    quantity: str, unit: str, interval: Interval, frame: dict[str, Any], marks: Sequence[str]
) -> dict[str, Any]:
    return Measurement(
        quantity=quantity,
        value=interval.value,
        unit=unit,
        low=interval.low,
        high=interval.high,
        marks=tuple(marks),
        **frame,
    ).to_json()
