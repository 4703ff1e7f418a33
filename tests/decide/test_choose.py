"""From verdicts and figures to a choice: order, ties, and the nearest miss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selection_parts import REFERENCE, Play, candidate, terms

from edgeopt.decide import choose
from edgeopt.schema.constraint import Verdict, parse_constraint
from edgeopt.schema.measurement import Measurement


def measured(**given: float) -> dict[str, Measurement]:
    """Figures by quantity; ``__`` stands for a dot, ``_at_`` for an output."""
    names = {key.replace("__", ".").replace("_at_", "@"): value for key, value in given.items()}
    return {name: Measurement(quantity=name, value=value, unit="") for name, value in names.items()}


def verdict(word: str, margin: float, bound: float = 1.0) -> Verdict:
    return Verdict.model_validate({
        "constraint": "c", "quantity": "size", "verdict": word, "value": 0, "low": 0, "high": 0,
        "bound": bound, "margin": margin, "basis": "absolute", "unit": "bytes", "sentence": "",
    })  # fmt: skip


def test_what_was_not_measured_is_not_judged() -> None:
    bounds = [parse_constraint(text) for text in ("size <= 1 kB", "latency.p99 <= 8 ms")]
    (only,) = choose.judge_all(bounds, measured(size=500), {})
    assert (only.constraint, only.verdict) == ("size <= 1 kB", "pass")


def test_a_bound_without_an_output_is_judged_by_the_worst_one() -> None:
    found = measured(accuracy=0.9, accuracy_at_a=0.97, accuracy_at_b=0.9)
    bound = parse_constraint("accuracy >= 95%")
    (told,) = choose.judge_all([bound], found, {})
    assert (told.quantity, told.verdict) == ("accuracy@b", "fail")
    (told,) = choose.judge_all([parse_constraint("accuracy@a >= 95%")], found, {})
    assert told.verdict == "pass"
    (told,) = choose.judge_all([parse_constraint("accuracy >= 80%")], found, {})
    assert told.quantity == "accuracy@b", "of outputs that all pass, the nearest to the bound"


@pytest.mark.parametrize(
    ("words", "asked", "stands"),
    [
        (["pass", "inconclusive", "fail"], 3, "infeasible"),
        (["pass", "inconclusive"], 3, "inconclusive"),
        (["pass"], 1, "feasible"),
        (["pass"], 2, "pending"),
        ([], 0, "feasible"),
    ],
)
def test_one_failure_decides(words: list[str], asked: int, stands: str) -> None:
    bounds = [parse_constraint("size <= 1 kB")] * asked
    assert choose.standing(bounds, [verdict(word, 0) for word in words]) == stands


def test_figures_rank_less_first_whatever_is_better() -> None:
    assert choose.objective_value("size", measured(size=9)) == 9
    assert choose.objective_value("accuracy", measured(accuracy=0.9)) == -0.9
    both = measured(latency__p50=3, ratio__latency__p50=0.5)
    assert choose.objective_value("latency.p50", both) == 0.5, "ratios where there are any"
    assert choose.objective_value("size", {}) is None


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=6))
def test_a_rank_holds_everyone_best_first_and_the_unmeasured_last(values: dict[str, float]) -> None:
    figures = {id: measured(accuracy=value) for id, value in values.items()} | {"none": {}}
    order = choose.ranked("accuracy", figures)
    assert sorted(order) == sorted(figures) and order[-1] == "none"
    known = [values[id] for id in order if id in values and id != "none"]
    assert known == sorted(known, reverse=True)


def test_equal_ones_rank_by_size() -> None:
    figures = {"a": measured(latency__p50=1, size=9), "b": measured(latency__p50=1, size=3)}
    assert choose.ranked("latency.p50", figures) == ["b", "a"]


def test_a_tie_of_exact_figures_goes_to_the_smaller_file() -> None:
    def of(ratio: float, size: float) -> dict[str, Measurement]:
        return measured(ratio__instructions=ratio, size=size)

    found = {"a": of(0.400, 300), "b": of(0.4019, 200), "c": of(0.403, 100), "d": of(0.2, 9e9)}
    places = {"a": (300.0,), "b": (200.0,), "c": (100.0,), "d": (9e9,)}
    assert choose.first_of_ties("instructions", found, places)[0] == "d"
    del found["d"]
    assert choose.first_of_ties("instructions", found, places) == ["b", "a", "c"]
    assert choose.first_of_ties("instructions", {}, places) == []


def test_of_an_accuracy_the_highest_rivals_are_named_first() -> None:
    """Guards against an order of rivals as if less were better of everything."""
    figures = {
        "reference": REFERENCE,
        "best": candidate(0.9, 0.5),
        "third": candidate(0.7, 0.3),
        "second": candidate(0.8, 0.4),
        "first": candidate(0.6, 0.45),
    }
    decision = Play(figures, terms(objective="accuracy")).run()
    assert decision.chosen == "best"
    assert "not proven better than first, second and 1 more" in decision.sentence


def test_the_worst_verdict_is_the_failed_one_missed_by_most() -> None:
    small, large = verdict("fail", -1, bound=100), verdict("fail", -0.5, bound=1)
    assert choose.worst([verdict("inconclusive", -9), small, large]) is large, "relative to bounds"
    assert choose.worst([verdict("pass", 3)]) is None
    open_ = verdict("inconclusive", -9)
    assert choose.worst([verdict("pass", -99), open_]) is open_
    assert choose.relative_margin(verdict("fail", -0.5, bound=0)) == -0.5


def test_the_nearest_miss_has_the_least_bad_worst_verdict() -> None:
    found = {
        "far": [verdict("fail", -0.5)],
        "near": [verdict("fail", -0.1), verdict("inconclusive", -9)],
        "fine": [verdict("pass", 1)],
    }
    assert choose.nearest_miss(found) == "near"
    assert choose.nearest_miss({"fine": found["fine"]}) is None
