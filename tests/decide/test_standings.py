from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import selection_parts as parts

from edgeopt.decide.events import NotScored, Raced, Scored, SourceScored
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.standings import Standings
from edgeopt.decide.steps import Race
from edgeopt.schema.constraint import parse_constraint

RATIO = "ratio.latency.p50"


def made(ratios: dict[str, float], sizes: dict[str, int] | None = None, **asked: Any) -> Standings:
    """Candidates that raced the reference in short; each as accurate as the source."""
    ids = ["reference", *ratios]
    entries = parts.entries_for(ids, sizes or {}, contends=asked.pop("contends", False))
    ledger = Ledger(entries, "reference")
    ledger.fold(SourceScored("validation", parts.measurements({"accuracy": (0.9, 0.89, 0.91)})))
    for id in ids:
        ledger.fold(Scored("validation", id, parts.measurements(parts.accurate(0))))
    found = Standings(parts.terms(**asked), ledger)
    for id, ratio in ratios.items():
        race(found, id, ratio)
    found.judge(ids)
    return found


def race(on: Standings, id: str, ratio: float, half: float = 0.001, **given: str) -> None:
    form: Any = {"second": "reference", "protocol": "short", **given}
    figures = parts.measurements({RATIO: (ratio, ratio - half, ratio + half)})
    on.ledger.fold(Raced(Race(first=id, **form), {}, {}, figures))


def test_the_fastest_comes_first_and_ties_go_to_the_smaller_file() -> None:
    found = made({"a": 0.5, "b": 0.501, "c": 0.4}, {"a": 900, "b": 500, "c": 990})
    assert found.order(["a", "b", "c"]) == ["c", "a", "b"]
    assert found.order(["a", "b"]) == ["b", "a"]


def test_the_reference_ties_by_its_direct_race() -> None:
    found = made({"a": 0.99}, {"a": 9, "reference": 5}, contends=True)
    assert found.order(["a", "reference"]) == ["a", "reference"]
    race(found, "a", 0.99, half=0.02)
    assert found.order(["a", "reference"]) == ["reference", "a"], "smaller, and level"


def test_a_direct_race_is_read_from_either_side() -> None:
    found = made({"a": 0.5, "b": 0.8})
    against = found.direct("a", "reference")
    turned = found.direct("reference", "a")
    assert against is not None and turned is not None
    assert (against.value, turned.value) == (0.5, 2.0)
    assert found.direct("a", "b") is None
    race(found, "a", 0.7, second="b", purpose="head-to-head")
    direct = found.direct("a", "b")
    assert direct is not None and direct.value == 0.7
    size = made({"a": 0.5}, objective="size")
    assert size.direct("a", "reference") is None, "nothing races for a size"


def test_figures_are_compared_of_the_most_exact_race_that_both_had() -> None:
    found = made({"a": 0.5, "b": 0.8})
    race(found, "a", 0.6, protocol="full")

    def values() -> list[float | None]:
        return [m.value if m else None for m in found.in_one_kind_of_race("a", "b")]

    assert values() == [0.5, 0.8], "b had no full race"
    race(found, "b", 0.9, protocol="full")
    assert values() == [0.6, 0.9]
    assert found.proven("a", "b") == "proven" and found.proven("b", "a") == "open"


def test_bounds_hold_for_the_target_as_asked_or_for_a_candidate_s_runtime() -> None:
    bounds = [parse_constraint("memory.peak <= 1 MB", on=on) for on in ("local/litert", "local")]
    found = made({"in litert": 0.5, "a": 0.5}, target="local/*", constraints=tuple(bounds))
    assert len(found.constraints("in litert")) == 2 and len(found.constraints("a")) == 1
    assert found.unjudged("a") == ("memory.peak <= 1 MB",)
    assert found.name("in litert") == "litert: in litert" and found.name("a") == ("onnxruntime: a")


def test_who_failed_is_no_choice_and_keeps_its_verdicts() -> None:
    found = made({"a": 0.5, "b": 0.6})
    assert found.standing_as("feasible") == ["a", "b"]
    before = found.verdicts["a"]
    found.ledger.fold(NotScored("validation", "a", {"what": "it broke"}))
    found.judge(["a", "b"])
    assert found.standing_as("feasible") == ["b"] and found.failed("a")
    assert found.verdicts["a"] == before and found.eligible() == ["a", "b"]


def test_candidates_are_told_by_their_last_race() -> None:
    found = made({"a": 0.5, "b": 0.6})
    race(found, "a", 0.5, protocol="full")
    assert found.raced(["a", "b"], "full") == ["a"] and found.raced(["a", "b"], "short") == ["b"]
    assert found.raced(["a", "b", "reference"]) == ["a", "b"]


def test_the_front_is_of_speed_against_the_leading_metric() -> None:
    found = made({"fast": 0.4, "slow": 0.9, "slower": 0.95})
    for id, points in {"fast": -0.5, "slow": 0.0, "slower": -0.1}.items():
        found.ledger.fold(Scored("validation", id, parts.measurements(parts.accurate(points))))
    assert found.metric == "accuracy"
    assert found.front() == {"fast", "slow"}


@pytest.mark.parametrize(
    ("counted", "ratio", "protocol"),
    [(False, RATIO, "short"), (True, "ratio.instructions", "count")],
)
def test_counts_stand_for_speed_where_there_is_no_time(
    counted: bool, ratio: str, protocol: str
) -> None:
    asked = replace(parts.terms(), counted=counted)
    assert (asked.ratio, asked.protocol) == (ratio, protocol)


def test_of_ties_of_one_size_to_a_hundredth_the_more_accurate_comes_first() -> None:
    sizes = {"reference": 10000, "a": 2671, "b": 2709, "c": 2751}  # b: 0.27x as a is, c: 0.28x
    found = made({"a": 0.5, "b": 0.5, "c": 0.5}, sizes)
    for id, points in (("a", -0.1), ("b", 0.0), ("c", 0.1)):
        found.ledger.fold(Scored("validation", id, parts.measurements(parts.accurate(points))))
    assert found.order(["a", "b", "c"]) == ["b", "a", "c"]


def test_a_candidate_without_files_has_no_size() -> None:
    found = Standings(parts.terms(), Ledger(parts.entries_for(["reference"]), "reference"))
    assert found.place("reference")[0] == 0.0
    assert made({"a": 0.5}, {"a": 70}).place("a")[0] == 0.07
