"""Selections that are driven by figures which are given instead of measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from edgeopt.decide.decision import Decision
from edgeopt.decide.elimination import FIRST
from edgeopt.decide.entry import Entry
from edgeopt.decide.events import (
    Event,
    NotRaced,
    NotScored,
    Raced,
    RaceEvent,
    Scored,
    ScoreEvent,
    SourceScored,
)
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.reasons import standing_of
from edgeopt.decide.selection import Selection
from edgeopt.decide.standings import Terms
from edgeopt.decide.steps import Announce, Done, Race, Score
from edgeopt.schema.artifact import Artifact, Description, Signature
from edgeopt.schema.constraint import Constraint, parse_constraint
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.plan import Candidate
from edgeopt.schema.target import TargetFacts, parse_target

EMPTY = Description(format="onnx", signature=Signature(inputs=(), outputs=()))
TARGET = parse_target("local/onnxruntime")
FACTS = TargetFacts(target=str(TARGET), isa="x86_64-avx2", quantities=("latency", "memory", "size"))
PLACES = {"in litert": "local/litert", "in openvino": "local/openvino"}  # id -> where it runs
BOUND = "accuracy >= source - 1.0pt"
STEPS_MAX = 1000  # far more than a selection of a few candidates may take
Figures = dict[str, tuple[float, float, float]]  # quantity -> value, low, high


def measurements(figures: Figures, n: int = 1) -> dict[str, Measurement]:
    return {
        quantity: Measurement(
            quantity=quantity, value=value, unit=unit(quantity), low=low, high=high, n=n
        )
        for quantity, (value, low, high) in figures.items()
    }


def unit(quantity: str) -> str:
    if quantity.startswith("ratio."):
        return "x"
    return "ms" if quantity.startswith("latency") else "fraction"


def accurate(points: float, half: float = 0.3) -> Figures:
    value, low, high = points / 100, (points - half) / 100, (points + half) / 100
    return {
        "accuracy": (0.9 + value, 0.9 + low, 0.9 + high),
        "difference.accuracy": (value, low, high),
    }


def fast(ratio: float, half: float = 0.01) -> Figures:
    return {
        "latency.p50": (ratio, ratio - half, ratio + half),
        "ratio.latency.p50": (ratio, ratio - half, ratio + half),
    }


REFERENCE: dict[str, Any] = {"validation": accurate(0), "short": fast(1.0), "memory": 9e6}


def candidate(ratio: float, points: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"validation": accurate(points), "short": fast(ratio), "memory": 8e6} | more


class Given:
    """What is found of each candidate, written down: by split, and by kind of race.

    ``full`` stands for ``short`` where it is missing, and the other way round; ``5 processes`` for
    a short race that went on so far. A split or a race that holds an error (``what``) fails by it;
    without a split a candidate breaks.
    """

    def __init__(self, figures: Mapping[str, dict[str, Any]]) -> None:
        self.figures = figures
        self.done: list[tuple[str, ...]] = []

    def scored(self, step: Score) -> list[ScoreEvent]:
        events: list[ScoreEvent] = [
            SourceScored(step.split, measurements({"accuracy": (0.9, 0.89, 0.91)}))
        ]
        for id in step.ids:
            under = dict(step.settings)
            name = f"{step.split} {under}" if under else step.split
            self.done.append((name, id))
            given = self.figures[id].get(name, self.figures[id].get(step.split))
            given = given or {"what": "it broke", "where": id}
            if "what" in given:
                events.append(NotScored(step.split, id, given, settings=step.settings))
            else:
                found = measurements(given)
                events.append(Scored(step.split, id, found, settings=step.settings))
        return events

    def raced(self, race: Race) -> RaceEvent:
        self.done.append((race.name, race.first))
        given = self.figures[race.first]
        if race.purpose == "memory":
            figures = {
                id: {"memory.peak": Measurement(quantity="memory.peak", unit="bytes", value=value)}
                for id in (race.first, race.second)
                if (value := self.figures[id].get("memory")) is not None
            }
            return Raced(race, figures.get(race.first, {}), figures.get(race.second, {}), {})
        if race.purpose == "settings":
            level = {"ratio.latency.p50": (1.0, 0.98, 1.02)}
            return Raced(race, {}, {}, measurements(given.get("settings", level), race.processes))
        if race.purpose == "head-to-head":
            level = {"ratio.latency.p50": (1.0, 0.98, 1.02)}
            return Raced(race, {}, {}, measurements(given.get("head-to-head", level)))
        n = race.processes or FIRST
        counted = [f"{taken} processes" for taken in range(n, FIRST, -1) if race.processes]
        names = (*counted, race.name, "full", "short", "count")
        shown = next(given[name] for name in names if name in given)
        if "what" in shown:
            return NotRaced(race, shown)
        both = measurements(shown, n)
        ratios = {quantity: m for quantity, m in both.items() if quantity.startswith("ratio.")}
        times = {quantity: m for quantity, m in both.items() if quantity not in ratios}
        theirs = measurements({"latency.p50": (1.0, 0.99, 1.01)}) if times else {}
        return Raced(race, times, theirs, ratios)


def entries_for(
    ids: Iterable[str], sizes: Mapping[str, int] | None = None, *, contends: bool = False
) -> list[Entry]:
    """An entry for each id; files where ``sizes`` are given. ``contends``: the reference, too."""
    return [
        Entry(
            Candidate(
                id=id, target=str(TARGET), chain=(id,), steps=(id,), job=id, description=EMPTY,
                reference=id == "reference", eligible=contends or id != "reference",
            ),
            parse_target(PLACES.get(id, str(TARGET))),
            FACTS,
            None if sizes is None else Artifact(
                format="onnx", files={"m.onnx": "0" * 64}, size_bytes=sizes.get(id, 1000)
            ),
        )
        for id in ids
    ]  # fmt: skip


def terms(*constraints: Constraint, target: str = str(TARGET), **more: Any) -> Terms:
    """What is asked: ``BOUND`` and these."""
    asked = (parse_constraint(BOUND), *constraints)
    return Terms(parse_target(target), **{"objective": "latency.p50", "constraints": asked, **more})


class Play:
    """A selection on given figures, driven to its end."""

    def __init__(
        self,
        figures: Mapping[str, dict[str, Any]],
        asked: Terms | None = None,
        *,
        sizes: Mapping[str, int] | None = None,
        contends: bool = False,
        late: bool = False,
        late_after: int | None = None,
    ) -> None:
        tested = 100 if any("test" in given for given in figures.values()) else 0
        self.given, self.late = Given(figures), late
        self.late_after = late_after  # so many scores and races
        entries = entries_for(figures, sizes, contends=contends)
        asked = asked or terms()
        if tested:
            asked = replace(asked, test_samples=tested)
        self.ledger = Ledger(entries, "reference")
        self.selection = Selection(asked, self.ledger)
        self.standings = self.selection.standings
        self.announced: list[str] = []

    def run(self, shuffled: Any = lambda events: events) -> Decision:
        """Answer every step; ``shuffled`` puts the scores of a step in another order."""
        steps = deque(self.selection.start())
        for _ in range(STEPS_MAX):
            step = steps.popleft()
            events: Iterable[Event] = ()
            match step:
                case Done(decision=decision):
                    assert not steps, "nothing is asked for after the end"
                    return decision
                case Announce(text=text):
                    self.announced.append(text)
                case Score():
                    events = shuffled(self.given.scored(step))
                case Race():
                    events = [self.given.raced(step)]
            for event in events:
                steps += self.selection.tell(event, late=self.is_late())
        raise AssertionError("the selection does not end")

    def is_late(self) -> bool:
        return self.late or (
            self.late_after is not None and len(self.given.done) >= self.late_after
        )

    def done(self, name: str) -> list[str]:
        """Who was scored on a split, or raced in a kind of race, in order."""
        return [id for each, id in self.given.done if each == name]

    def status(self, id: str, decision: Decision) -> str:
        return standing_of(self.standings, id, decision)[0]

    def reason(self, id: str, decision: Decision) -> str:
        return standing_of(self.standings, id, decision)[1]

    def statuses(self, decision: Decision) -> dict[str, str]:
        return {id: self.status(id, decision) for id in self.ledger.entries}
