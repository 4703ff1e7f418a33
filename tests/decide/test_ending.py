"""How a selection ends, in words: on given figures, without any race."""

from __future__ import annotations

from typing import Any

import pytest
import selection_parts as parts

from edgeopt.decide import ending
from edgeopt.decide.events import NotScored, Scored, SourceScored
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.standings import Standings


def standings(**points: float | str) -> Standings:
    """Candidates by accuracy against the source's, or by what broke them."""
    ledger = Ledger(parts.entries_for(["reference", *points]), "reference")
    ledger.fold(SourceScored("validation", parts.measurements({"accuracy": (0.9, 0.89, 0.91)})))
    ledger.fold(Scored("validation", "reference", parts.measurements(parts.accurate(0))))
    for id, told in points.items():
        if isinstance(told, str):
            ledger.fold(NotScored("validation", id, {"what": told, "hint": "mend it"}))
        else:
            ledger.fold(Scored("validation", id, parts.measurements(parts.accurate(told))))
    made = Standings(parts.terms(), ledger)
    made.judge(ledger.entries)
    return made


def test_a_reference_that_broke_fails_the_target() -> None:
    made = standings(a=0)
    made.ledger.fold(NotScored("validation", "reference", {"what": "no such operator"}))
    decision = ending.failed(made)
    assert decision is not None and decision.verdict == "failed"
    assert decision.sentence == "the reference reference failed: no such operator"


def test_a_target_fails_where_every_candidate_did_and_not_before() -> None:
    assert ending.failed(standings(a="it broke", b=0)) is None
    decision = ending.failed(standings(a="it\nbroke", b="so did this"))
    assert decision is not None
    assert decision.sentence == "every candidate failed; the first: a: it broke (mend it)"


def test_what_was_built_is_counted_without_what_failed() -> None:
    assert ending.built(standings(a=0, b="it broke", c=0)).sentence == (
        "2 candidates built and checked; nothing was measured"
    )
    assert ending.built(standings(a="it broke")).verdict == "failed"


def test_without_a_test_split_the_choice_stands_and_says_so() -> None:
    decision = ending.untested("a is the best", "a")
    assert (decision.verdict, decision.chosen) == ("chosen", "a")
    assert decision.sentence == "a is the best; not tested: the data has no test split"


@pytest.mark.parametrize(
    ("points", "verdict", "said"),
    [
        (0.0, "chosen", "it also meets the constraints on the test split"),
        (-5.0, "refused-on-test", "on validation; but on the test split: accuracy"),
        (-1.0, "inconclusive", "on validation; but on the test split: accuracy"),
    ],
)
def test_the_choice_is_held_against_the_test_split(points: float, verdict: str, said: str) -> None:
    made = standings(a=0)
    figures, source = (parts.measurements(parts.accurate(p)) for p in (points, 0))
    decision = ending.tested(made, "a is the best", "a", figures, source)
    assert decision.verdict == verdict and said in decision.sentence
    assert decision.chosen == "a" and decision.test["measurements"].keys() == figures.keys()
    assert decision.nearest_miss == (None if verdict == "chosen" else "a")


def test_bounds_that_no_test_figure_concerns_are_no_proof() -> None:
    decision = ending.tested(standings(a=0), "a is the best", "a", {}, {})
    assert decision.sentence.endswith("no constraint concerns the test split")


@pytest.mark.parametrize(
    ("type_", "verdict"),
    [
        ("WorkerError", "inconclusive"),
        ("DeviceError", "inconclusive"),
        ("UnreachableError", "inconclusive"),
        ("PlacementError", "inconclusive"),
        ("ModelError", "refused-on-test"),
    ],
)
def test_a_winner_without_answers_is_at_fault_only_for_its_own_error(
    type_: str, verdict: Any
) -> None:
    error = {"type": type_, "what": "it\nbroke"}
    decision = ending.unscored("a is the best", "a", error)
    assert decision.verdict == verdict and "it broke" in decision.sentence
    assert decision.test["error"] == error and ("not_tested" in decision.test) == (
        verdict == "inconclusive"
    )


def test_the_nearest_miss_is_named_where_nobody_meets_the_bounds() -> None:
    decision = ending.nobody(standings(far=-9, near=-3), late=False)
    assert (decision.verdict, decision.nearest_miss) == ("unmet", "near")
    assert decision.sentence.startswith(
        "no candidate meets the constraints; nearest miss: near: accuracy"
    )


def test_one_that_may_meet_them_leaves_it_open() -> None:
    decision = ending.nobody(standings(far=-9, near=-1.0), late=False)
    assert (decision.verdict, decision.nearest_miss) == ("inconclusive", "near")
    assert "no candidate is proven to meet the constraints; nearest: near" in decision.sentence


def test_where_nothing_was_measured_it_is_told_why() -> None:
    ledger = Ledger(parts.entries_for(["reference", "a"]), "reference")
    nothing = Standings(parts.terms(), ledger)
    assert ending.nobody(nothing, late=True).sentence == (
        "no candidate could be measured: time ran out"
    )
    ledger.fold(NotScored("validation", "a", {"what": "it broke"}))
    assert ending.nobody(nothing, late=False).verdict == "failed"


def test_praise_is_against_all_that_may_be_chosen() -> None:
    assert "not compared with b" in ending.praised(standings(a=0, b=0, c=-9), "a")
    assert "c" not in ending.praised(standings(a=0, b=0, c=-9), "a").replace("accuracy", "").split()
    assert ending.praised(standings(a=0, c=-9), "a").startswith("a is the best measured artifact")
