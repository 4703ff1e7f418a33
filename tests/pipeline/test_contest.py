"""The contest's decisions, on figures that are given instead of measured."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from edgeopt.decide.proof import inverse
from edgeopt.pipeline.contest import Contest
from edgeopt.pipeline.decision import Decision
from edgeopt.pipeline.measure import Entry
from edgeopt.recipe import make_recipe
from edgeopt.schema.artifact import Description, Signature
from edgeopt.schema.event import Event
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.plan import Candidate
from edgeopt.schema.target import TargetFacts, parse_target

EMPTY = Description(format="onnx", signature=Signature(inputs=(), outputs=()))
TARGET = parse_target("local/onnxruntime")
FACTS = TargetFacts(target=str(TARGET), isa="x86_64-avx2")
PLACES = {"in litert": "local/litert", "in openvino": "local/openvino"}  # id -> where it runs
BOUND = "accuracy >= source - 1.0pt"
Figures = dict[str, tuple[float, float, float]]  # quantity -> value, low, high


def measurements(figures: Figures) -> dict[str, Measurement]:
    return {
        quantity: Measurement(
            quantity=quantity, value=value, unit=unit(quantity), low=low, high=high
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


class Given:
    """A bench whose figures are written down: by candidate, then by split or protocol."""

    def __init__(self, figures: dict[str, dict[str, Any]], **recipe: Any) -> None:
        self.figures = figures
        self.recipe = make_recipe(
            {"model": {"path": "m.onnx"}, "constraints": [BOUND], **recipe}
            | {"data": {"source": "x.npz", "label": "y", "splits": {"validation": "v"}}}
        )
        self.target = TARGET
        self.source: dict[str, Measurement] = {}
        self.notes: list[str] = []
        self.known = SimpleNamespace(raw={"validation": SimpleNamespace(n=100)})
        if any("test" in given for given in figures.values()):
            self.known.raw["test"] = SimpleNamespace(n=100)
        self.done: list[tuple[str, ...]] = []

    def score(self, entries: Iterable[Entry], split: str) -> dict[str, dict[str, Measurement]]:
        found = {"source": measurements({"accuracy": (0.9, 0.89, 0.91)})}
        for entry in entries:
            self.done.append((split, entry.plan.id))
            given = self.figures[entry.plan.id].get(split)
            if given is None:
                entry.error = {"what": "it broke", "where": entry.plan.id}
            else:
                found[entry.plan.id] = measurements(given)
        return found

    def race_reference(self, entry: Entry, _other: Entry, protocol: str, tag: str = "") -> bool:
        name = tag or protocol
        self.done.append((name, entry.plan.id))
        given = self.figures[entry.plan.id]
        figures = given.get(name) or given.get("full") or given["short"]
        entry.raced = name
        found = measurements(figures)
        entry.measured.update(found)
        entry.ratios[protocol] = {q: m for q, m in found.items() if q.startswith("ratio.")}
        return True

    def time_alone(self, reference: Entry, protocol: str) -> None:
        self.done.append(("alone", reference.plan.id))
        reference.measured.update(measurements(self.figures[reference.plan.id]["short"]))

    def memory(self, entry: Entry, _other: Entry) -> None:
        self.done.append(("memory", entry.plan.id))
        entry.measured["memory.peak"] = Measurement(
            quantity="memory.peak", value=self.figures[entry.plan.id]["memory"], unit="bytes"
        )

    def duel(self, entry: Entry, other: Entry, quantity: str) -> None:
        self.done.append(("duel", entry.plan.id))
        found = self.figures[entry.plan.id].get("duel", (1.0, 0.98, 1.02))
        made = measurements({f"ratio.{quantity}": found})[f"ratio.{quantity}"]
        entry.duels[other.plan.id], other.duels[entry.plan.id] = made, inverse(made)


def contest(bench: Given, *, deadline: float | None = None, quick: bool = False) -> Contest:
    entries = [
        Entry(
            Candidate(
                id=id, target=str(TARGET), chain=(id,), steps=(id,), job=id, description=EMPTY,
                reference=id == "reference", eligible=id != "reference",
            ),
            parse_target(PLACES.get(id, str(TARGET))),
            FACTS,
        )
        for id in bench.figures
    ]  # fmt: skip
    events: list[Event] = []
    return Contest(bench, entries, entries[0], events.append, deadline, quick)  # type: ignore[arg-type]


REFERENCE = {"validation": accurate(0), "short": fast(1.0), "memory": 9e6}


def candidate(ratio: float, points: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"validation": accurate(points), "short": fast(ratio), "memory": 8e6} | more


def statuses(made: Contest, decision: Decision) -> dict[str, str]:
    return {e.plan.id: made.standing_of(e, decision)[0] for e in made.entries}


def test_the_fastest_that_keeps_the_bounds_is_chosen_and_each_other_has_its_reason() -> None:
    bench = Given(
        {
            "reference": REFERENCE,
            "slow": candidate(1.2),
            "good": candidate(0.5, test=accurate(0)),
            "runner-up": candidate(0.6),
            "third": candidate(0.7),
            "bad": candidate(0.3, points=-3),
            "unsure": candidate(0.3, points=-1),
            "broken": {},
        }
    )
    made = contest(bench)
    decision = made.run()
    assert decision.verdict == "chosen" and decision.exit_code == 0
    assert decision.chosen is not None and decision.chosen.plan.id == "good"
    assert statuses(made, decision) == {
        "reference": "reference", "slow": "screened", "good": "chosen", "runner-up": "lost",
        "third": "lost", "bad": "infeasible", "unsure": "inconclusive", "broken": "failed",
    }  # fmt: skip
    assert not any(protocol in ("short", "full") for protocol, id in bench.done if id == "bad")
    assert [id for split, id in bench.done if split == "test"] == ["good"]
    assert all(made.standing_of(entry, decision)[1] for entry in made.entries)


def test_the_winner_is_chosen_on_validation_and_refused_on_test() -> None:
    bench = Given(
        {
            "reference": REFERENCE,
            "good": candidate(0.5, test=accurate(-4)),
            "next": candidate(0.6, test=accurate(0)),
        }
    )
    decision = contest(bench).run()
    assert decision.verdict == "refused-on-test" and decision.exit_code == 3
    assert [id for split, id in bench.done if split == "test"] == ["good"], "no second pick"
    assert "on the test split" in decision.sentence


def test_a_test_split_that_decides_nothing_is_inconclusive() -> None:
    bench = Given({"reference": REFERENCE, "good": candidate(0.5, test=accurate(-0.9))})
    decision = contest(bench).run()
    assert (decision.verdict, decision.exit_code) == ("inconclusive", 4)


def test_without_a_test_split_the_result_says_so() -> None:
    decision = contest(Given({"reference": REFERENCE, "good": candidate(0.5)})).run()
    assert decision.verdict == "chosen"
    assert "not tested" in decision.sentence
    assert decision.test == {"not_tested": "not tested: the data has no test split"}


@pytest.mark.parametrize(("points", "verdict", "code"), [(-3, "unmet", 3), (-1, "inconclusive", 4)])
def test_where_none_is_feasible_the_nearest_miss_is_named(
    points: float, verdict: str, code: int
) -> None:
    bench = Given(
        {
            "reference": REFERENCE,
            "far": candidate(0.5, points=-9),
            "near": candidate(0.6, points=points),
        }
    )
    decision = contest(bench).run()
    assert (decision.verdict, decision.exit_code) == (verdict, code)
    assert decision.nearest_miss == "near"
    assert "near" in decision.sentence and decision.chosen is None


def test_a_runner_up_that_wins_the_direct_race_is_chosen() -> None:
    bench = Given(
        {
            "reference": REFERENCE,
            "first": candidate(0.50),
            "second": candidate(0.51, duel=(0.9, 0.88, 0.92)),
        }
    )
    made = contest(bench)
    decision = made.run()
    assert decision.chosen is not None and decision.chosen.plan.id == "second"
    assert ("final", "second") in bench.done
    first = next(e for e in made.entries if e.plan.id == "first")
    low, high = first.duels["second"].interval
    assert low > 1.0 and high == pytest.approx(1 / 0.88)


def test_a_winner_whose_fresh_figure_breaks_a_bound_gives_way() -> None:
    bench = Given(
        {
            "reference": REFERENCE,
            "lucky": candidate(0.5, final=fast(0.9)),
            "steady": candidate(0.6),
        },
        constraints=[BOUND, "latency.p50 <= 0.7x source"],
    )
    decision = contest(bench).run()
    assert decision.chosen is not None and decision.chosen.plan.id == "steady"


def test_only_three_race_in_full() -> None:
    names = [f"c{n}" for n in range(6)]
    bench = Given(
        {"reference": REFERENCE} | {name: candidate(0.5 + n / 20) for n, name in enumerate(names)}
    )
    contest(bench).run()
    assert [id for protocol, id in bench.done if protocol == "full"] == ["c0", "c1", "c2"]
    assert [id for protocol, id in bench.done if protocol == "short"] == names


def test_past_its_time_limit_nothing_more_races() -> None:
    bench = Given({"reference": REFERENCE, "good": candidate(0.5)})
    made = contest(bench, deadline=time.monotonic() - 1)
    decision = made.run()
    assert (decision.verdict, decision.exit_code) == ("inconclusive", 4)
    assert "time ran out" in decision.sentence
    assert statuses(made, decision)["good"] == "unmeasured"


def test_quick_races_once_and_still_tests() -> None:
    bench = Given(
        {"reference": REFERENCE, "good": candidate(0.5, test=accurate(0)), "b": candidate(0.9)}
    )
    decision = contest(bench, quick=True).run()
    assert decision.verdict == "chosen"
    assert {protocol for protocol, _ in bench.done} == {"validation", "short", "test"}


def test_a_bound_on_memory_is_measured_in_a_quick_run_too() -> None:
    bench = Given(
        {"reference": REFERENCE, "good": candidate(0.5)},
        constraints=[BOUND, "memory.peak <= 8.5 MB"],
    )
    decision = contest(bench, quick=True).run()
    assert decision.verdict == "chosen"


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    bench = Given(
        {
            "reference": REFERENCE,
            "fast": candidate(0.5, points=-0.5),
            "exact": candidate(0.8, points=0.0),
            "neither": candidate(0.9, points=-0.6),
        }
    )
    made = contest(bench)
    made.run()
    assert made.front() == {"fast", "exact"}


@pytest.mark.parametrize("quick", [True, False])
def test_memory_can_be_the_objective(quick: bool) -> None:
    bench = Given(
        {
            "reference": REFERENCE,
            "fast": candidate(0.5, memory=9e6),
            "small": candidate(0.9, memory=5e6),
        },
        objective="memory.peak",
    )
    decision = contest(bench, quick=quick).run()
    assert decision.chosen is not None and decision.chosen.plan.id == "small"


def test_of_several_runtimes_one_is_chosen_and_named_and_bounds_may_name_one() -> None:
    figures = {
        "reference": REFERENCE,
        "in litert": candidate(0.3, test=accurate(0)),
        "in openvino": candidate(0.5, test=accurate(0), duel=(1.67, 1.65, 1.69)),
    }
    bench = Given(figures, targets=["local/*"])
    bench.target = parse_target("local/*")
    decision = contest(bench).run()
    assert decision.chosen and decision.chosen.plan.id == "in litert"
    assert decision.sentence.startswith("in litert in litert is the best")
    on_one = {"on": "local/litert", "require": "latency.p50 <= 0.1x source"}
    bench = Given(figures, targets=["local/*"], constraints=[BOUND, on_one])
    bench.target = parse_target("local/*")
    made = contest(bench)
    decision = made.run()
    assert decision.chosen and decision.chosen.plan.id == "in openvino"
    assert statuses(made, decision)["in litert"] == "infeasible"
