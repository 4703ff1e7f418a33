"""How often a selection chooses within 2% of the best: processes recorded, choices replayed.

    python benchmarks/selection_replay.py record RECIPE RECORD.json [--processes 60]
    python benchmarks/selection_replay.py replay RECORD.json [--resamples 200] [--first 3]

``record`` builds and scores the candidates of a recipe, then races each one that meets the bounds
against the reference in so many fresh processes, five at a time, all candidates in turn, so that
drift falls on all alike. ``replay`` draws the processes of each candidate anew with replacement,
and lets two rules choose: the selection as it is, and three processes for all, the best three by
their figures in five to fifteen, then the best afresh against the second. The truth is the mean of
all recorded processes. A direct race of two is drawn as a process of each, which is noisier than a
real one. Prints how often each choice is within 2% of the best, and how many processes it took.
``--first`` is how many processes of each the selection begins with.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from edgeopt.bench.jobs import run_bench
from edgeopt.bench.race import HALF_WIDTH
from edgeopt.bench.runs import Run
from edgeopt.decide import racing
from edgeopt.decide.entry import Entry
from edgeopt.decide.events import Event, Raced, Scored, SourceScored
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.proof import is_tie
from edgeopt.decide.selection import Selection
from edgeopt.decide.standings import Terms
from edgeopt.decide.steps import Done, Race, Score
from edgeopt.engine import Engine
from edgeopt.pipeline.loop import target_runs
from edgeopt.pipeline.prepare import prepare
from edgeopt.pipeline.saturation import Checked
from edgeopt.pipeline.work import Work
from edgeopt.planner import make_plan
from edgeopt.recipe import load_recipe
from edgeopt.schema.artifact import Artifact, Description, Signature
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.plan import Candidate
from edgeopt.schema.target import TargetFacts, parse_target
from edgeopt.stats.ratios import geometric_interval
from edgeopt.store import Store

RATIO = "ratio.latency.p50"
TURN = 5  # processes of a candidate before it is the next one's turn
NEAR = 0.02
FEWEST, MOST = 5, 15  # processes of a full race


def record(recipe: Path, out: Path, processes: int) -> None:
    """Ratios to the reference by candidate, one a process, and sizes: JSON."""
    with (
        Store.default() as store,
        Engine(store, on_event=lambda _event: None, bench=run_bench) as engine,
    ):
        asked = load_recipe(recipe)
        known, outcomes = prepare(asked, engine)
        plan = make_plan(asked, known)
        outcomes |= engine.run(plan.jobs, outcomes)
        work = Work(asked, known, engine, store, outcomes, lambda _event: None)
        (run,), _ = target_runs(work, Checked(plan), quick=False, raced=True)
        standings, entries = run.scored(), run.ledger.entries
        feasible = [i for i in entries if i != run.ledger.reference]
        feasible = [i for i in feasible if standings.stands(i) in ("feasible", "pending")]
        samples: dict[str, str] = {}
        for taken in range(0, processes, TURN):
            for id in feasible:
                race = Race(
                    id, run.ledger.reference, "short",
                    processes=min(taken + TURN, processes), earlier=taken,
                )  # fmt: skip
                event = run.bench.race(race, entries[id], entries[race.second])
                assert isinstance(event, Raced), f"{id} could not be raced"
                samples[id] = event.ratios[RATIO].samples
                print(f"{race.processes:3d} {event.ratios[RATIO].value:.3f}x {id}", flush=True)
        kept: dict[str, Any] = {"isa": known.host_isa, "candidates": {}}
        for id, digest in samples.items():
            runs = json.loads(store.get_bytes(digest))["processes"]
            artifact = entries[id].artifact
            kept["candidates"][id] = {
                "ratios": [Run.from_json(each).ratio(50.0) for each in runs],
                "size": artifact.size_bytes if artifact else 0,
            }
    out.write_text(json.dumps(kept, indent=1))


class Draws:
    """Processes of candidates, drawn with replacement from those recorded."""

    def __init__(self, kept: dict[str, Any], dice: np.random.Generator) -> None:
        self._logs = {id: np.log(each["ratios"]) for id, each in kept.items()}
        self._dice, self.count = dice, 0
        self._short: dict[str, list[float]] = {id: [] for id in kept}

    def short(self, id: str, n: int) -> list[float]:
        """The first ``n`` processes of a candidate's short race, which goes on."""
        self._short[id] += self._some(id, n - len(self._short[id]))
        return self._short[id][:n]

    def full(self, draw: Callable[[int], list[float]]) -> list[float]:
        """Five to fifteen, until the half-width is at most 3%."""
        logs = draw(FEWEST)
        while (
            len(logs) < MOST
            and geometric_interval([float(v) for v in np.exp(logs)]).half_width > HALF_WIDTH
        ):
            logs += draw(1)
        return logs

    def fresh(self, id: str) -> list[float]:
        """A full race against the reference."""
        return self.full(lambda n: self._some(id, n))

    def direct(self, one: str, other: str) -> list[float]:
        """A full race of two."""
        return self.full(
            lambda n: [a - b for a, b in zip(self._some(one, n), self._some(other, n), strict=True)]
        )

    def _some(self, id: str, n: int) -> list[float]:
        self.count += max(n, 0)
        return list(self._dice.choice(self._logs[id], max(n, 0)))


def measured(logs: list[float]) -> Measurement:
    """The ratio of processes, as a race gives it."""
    interval = geometric_interval([float(v) for v in np.exp(logs)])
    return Measurement(
        quantity=RATIO, unit="x", value=interval.value, low=interval.low, high=interval.high,
        n=interval.n,
    )  # fmt: skip


def by_selection(kept: dict[str, Any], draws: Draws) -> str:
    """What the selection chooses, driven by drawn processes."""
    facts = TargetFacts(target="local/onnxruntime", isa="recorded", quantities=("latency",))
    selection = Selection(
        Terms(parse_target("local/onnxruntime"), "latency.p50", ()),
        Ledger(list(_entries(kept, facts)), "reference"),
    )
    steps = deque(selection.start())
    while not isinstance(step := steps.popleft(), Done):
        for event in _answers(step, draws):
            steps += selection.tell(event)
    assert step.decision.chosen is not None
    return step.decision.chosen


def _entries(kept: dict[str, Any], facts: TargetFacts) -> Iterator[Entry]:
    nothing = Description(format="onnx", signature=Signature(inputs=(), outputs=()))
    for id in ("reference", *kept):
        plan = Candidate(
            id=id, target=facts.target, chain=(id,), steps=(id,), job=id, description=nothing,
            reference=id == "reference", eligible=id != "reference",
        )  # fmt: skip
        size = kept[id]["size"] if id in kept else 1
        files = Artifact(format="onnx", files={"m": "0" * 64}, size_bytes=size)
        yield Entry(plan, parse_target(facts.target), facts, files)


def _answers(step: Any, draws: Draws) -> Iterator[Event]:
    if isinstance(step, Score):
        yield SourceScored(step.split, {})
        yield from (Scored(step.split, id, {}) for id in step.ids)
    if isinstance(step, Race) and step.purpose == "memory":
        yield Raced(step, {}, {}, {})
    elif isinstance(step, Race):
        if step.purpose == "head-to-head":
            logs = draws.direct(step.first, step.second)
        elif step.protocol == "short":
            logs = draws.short(step.first, step.processes)
        else:
            logs = draws.fresh(step.first)
        ratio = measured(logs)
        time = ratio.model_copy(update={"quantity": "latency.p50", "unit": "ms"})
        yield Raced(step, {"latency.p50": time}, {"latency.p50": time}, {RATIO: ratio})


def by_first_three(kept: dict[str, Any], draws: Draws) -> str:
    """Three processes for all; the best three by their figures in full; the best two directly."""
    short = {id: float(np.mean(draws.short(id, 3))) for id in kept}
    finalists = sorted(short, key=lambda id: short[id])[:3]
    full = {id: float(np.mean(draws.fresh(id))) for id in finalists}
    best, *others = sorted(full, key=lambda id: full[id])
    draws.fresh(best)
    if not others:
        return best
    second = others[0]
    direct = measured(draws.direct(second, best))
    if is_tie(direct):
        return min(best, second, key=lambda id: kept[id]["size"])
    return second if direct.interval[1] < 1.0 else best


def replay(path: Path, resamples: int, first: int) -> None:
    """Print how often each rule chose within 2% of the best, and what that took."""
    document = json.loads(path.read_text())
    kept = document["candidates"]
    truth = {id: float(np.mean(np.log(each["ratios"]))) for id, each in kept.items()}
    best = min(truth, key=lambda id: truth[id])
    print(f"{len(kept)} candidates on {document['isa']}; best: {best} {np.exp(truth[best]):.3f}x")
    for rule in (by_first_three, by_selection):
        regrets, counts = [], []
        for seed in range(resamples):
            draws = Draws(kept, np.random.default_rng(seed))
            with patch.object(racing, "FIRST", first):
                regrets.append(np.expm1(truth[rule(kept, draws)] - truth[best]))
            counts.append(draws.count)
        near = np.mean(np.array(regrets) <= NEAR)
        print(
            f"{rule.__name__}: within {NEAR:.0%} of the best in {near:.1%} of {resamples}; worst "
            f"{max(regrets):.1%}; processes {np.mean(counts):.0f} (median {np.median(counts):.0f})"
        )


def main() -> None:
    """Record or replay."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    recording = commands.add_parser("record")
    recording.add_argument("recipe", type=Path)
    recording.add_argument("record", type=Path)
    recording.add_argument("--processes", type=int, default=60)
    replaying = commands.add_parser("replay")
    replaying.add_argument("record", type=Path)
    replaying.add_argument("--resamples", type=int, default=200)
    replaying.add_argument("--first", type=int, default=racing.FIRST)
    asked = parser.parse_args()
    if asked.command == "record":
        record(asked.recipe, asked.record, asked.processes)
    else:
        replay(asked.record, asked.resamples, asked.first)


if __name__ == "__main__":
    main()
