from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.decide import proof as proofs
from edgeopt.decide.proof import Rival, praise
from edgeopt.schema.measurement import Measurement

SPEED = "latency.p50"


def ratio(value: float, half: float = 0.01, quantity: str = f"ratio.{SPEED}") -> Measurement:
    return Measurement(
        quantity=quantity, value=value, unit="x", low=value - half, high=value + half
    )


@pytest.mark.parametrize(
    ("direct", "proven"),
    [
        (ratio(0.9), "proven"),
        (ratio(0.995, 0.01), "tie"),
        (ratio(0.9951, 0.001), "tie"),
        (ratio(0.99, 0.001), "proven"),
        (ratio(1.1), "open"),
    ],
)
def test_a_direct_race_decides_whatever_others_say(direct: Measurement, proven: str) -> None:
    assert proofs.proof(SPEED, direct, ratio(9.0), ratio(0.1)) == proven


@pytest.mark.parametrize(
    ("mine", "theirs", "proven"),
    [
        (ratio(0.5), ratio(0.6), "proven"),
        (ratio(0.5, 0.06), ratio(0.6, 0.06), "proven"),
        (ratio(0.5, 0.06), ratio(0.55, 0.06), "open"),
        (ratio(0.6), ratio(0.5), "open"),
        (ratio(0.5), ratio(0.502), "tie"),
        (ratio(0.504, 0.003), ratio(0.5, 0.003), "tie"),
        (ratio(0.504, 0.02), ratio(0.5, 0.02), "open"),
        (ratio(0.5), None, "open"),
        (None, ratio(0.5), "open"),
    ],
)
def test_others_are_told_apart_by_the_interval_of_their_difference(
    mine: Measurement | None, theirs: Measurement | None, proven: str
) -> None:
    assert proofs.proof(SPEED, None, mine, theirs) == proven


def test_of_an_accuracy_more_is_better_and_only_equals_tie() -> None:
    low, high = (ratio(v, 0.001, "accuracy") for v in (0.9, 0.903))
    assert proofs.proof("accuracy", None, high, low) == "proven"
    assert proofs.proof("accuracy", None, low, high) == "open"
    near = ratio(0.9001, 0.001, "accuracy")
    assert proofs.proof("accuracy", None, near, low) == "open", "0.5% is for ratios of races"
    assert proofs.proof("accuracy", None, low, low) == "tie"


@given(st.floats(0.1, 10), st.floats(0, 0.09))
def test_a_ratio_turned_over_twice_is_itself(value: float, half: float) -> None:
    one = ratio(value, half)
    turned = proofs.inverse(one)
    assert turned.interval[0] <= turned.value <= turned.interval[1]
    back = proofs.inverse(turned)
    assert (back.value, *back.interval) == pytest.approx((one.value, *one.interval))
    exact = Measurement(quantity="ratio.size", value=value, unit="x")
    assert proofs.inverse(exact).low is None


def rival(name: str, proof: Any, smaller: bool | None = True, raced: bool = True) -> Rival:
    return Rival(name, proof, smaller, raced)


@pytest.mark.parametrize(
    ("rivals", "told"),
    [
        ([], "a is the best measured artifact by latency.p50"),
        ([rival("b", "proven")], "a is the best measured artifact by latency.p50"),
        ([rival("b", "tie")], "a is tied with b, and smaller"),
        ([rival("b", "tie", None)],
         "a is tied with b; both are the same size, so the one that led in the races against the "
         "reference stays first"),
        ([rival("b", "tie", None), rival("c", "tie", None)],
         "a is tied with b and c; all are the same size, so the one that led in the races against "
         "the reference stays first"),
        ([Rival("b", "tie", None, True, no_better="accuracy")],
         "a is tied with b; both are the same size, and the other has no better accuracy"),
        ([Rival("b", "tie", None, True, no_better="accuracy")] * 2,
         "a is tied with b and b; all are the same size, and none has a better accuracy"),
        ([Rival("b", "tie", None, True, no_better="accuracy"), rival("c", "tie", None)],
         "a is tied with b and c; all are the same size, so the one that led in the races against "
         "the reference stays first"),
        ([Rival("b", "open", True, True, "0.50x against 0.51x")],
         "a is ahead by latency.p50; not proven better than b: the 95% interval of their ratio is "
         "not all below 1x (0.50x against 0.51x)"),
        ([rival("b", "tie", False)], "a is tied with b"),
        ([rival("b", "tie"), rival("c", "tie", False)], "a is tied with b and c"),
        ([rival("b", "open"), rival("c", "open"), rival("d", "open")],
         "a is ahead by latency.p50; not proven better than b, c and 1 more: the 95% interval "
         "of each ratio is not all below 1x"),
        ([rival("b", "tie"), rival("c", "open", raced=False)],
         "a is tied with b, and smaller; not compared with c, because time ran out"),
    ],
)  # fmt: skip
def test_best_measured_is_said_only_where_it_is_proven(rivals: list[Rival], told: str) -> None:
    assert praise("a", SPEED, rivals) == told


def test_short_races_are_said_to_be_short() -> None:
    assert praise("a", SPEED, [], quick=True).endswith("by latency.p50, in short races")
    assert "tied with b in short races" in praise("a", SPEED, [rival("b", "tie")], quick=True)
    assert "race" not in praise("a", "accuracy", [], quick=True), "nothing races for it"


def figures(value: float, size: float, quantity: str = f"ratio.{SPEED}") -> dict[str, Measurement]:
    return {quantity: ratio(value, quantity=quantity),
            "size": Measurement(quantity="size", value=size, unit="bytes")}  # fmt: skip


def test_a_loser_is_told_by_its_figures_and_its_direct_race() -> None:
    both = (
        "1.20x (1.17 to 1.23x) the chosen's p50 latency: 0.60x (0.59 to 0.61x) against 0.50x (0.49 "
        "to 0.51x) the reference's"
    )
    mine, theirs = figures(0.6, 9), figures(0.5, 5)
    assert proofs.lost_to(SPEED, mine, theirs, None, "proven") == both
    near = proofs.lost_to(SPEED, figures(0.505, 9), theirs, None, "open")
    assert near.startswith("1.01x (0.98 to 1.04x)")
    assert near.endswith("the reference's; not proven worse: it may take 1.8% less")
    race = "raced head to head it took 1.20x as long as the chosen (95% interval 1.19 to 1.21x)"
    assert proofs.lost_to(SPEED, mine, theirs, ratio(1.2), "proven") == race
    assert proofs.lost_to(SPEED, mine, theirs, ratio(1.2), "tie") == (
        f"a tie with the chosen, which is smaller: {race}"
    )


@pytest.mark.parametrize(
    ("mine", "theirs", "told"),
    [
        (9, 5, ", which is smaller and takes at most 1.0% longer by these races"),
        (5, 5, ", which is of the same size and takes at most 1.0% longer by these races"),
        (5, 9, ", which takes at most 1.0% longer by these races"),
    ],
)
def test_a_tie_is_told_with_who_is_smaller(mine: float, theirs: float, told: str) -> None:
    sides = figures(0.608, mine), figures(0.6, theirs)
    found = proofs.lost_to(SPEED, *sides, None, "tie")
    assert found.startswith(f"a tie with the chosen{told}: 1.01x (0.99 to 1.04x) the chosen's")


def test_a_tie_by_its_figure_says_so() -> None:
    wide = {f"ratio.{SPEED}": ratio(0.6, 0.05)}
    found = proofs.lost_to(SPEED, wide, wide, None, "tie")
    assert found.startswith("a tie with the chosen, which is within 0.5% by its figure: 1.00x")


def test_what_was_not_raced_is_told_as_its_plain_figure() -> None:
    mine, theirs = figures(0.9, 1, "accuracy"), figures(0.95, 1, "accuracy")
    found = proofs.lost_to("accuracy", mine, theirs, None, "proven")
    assert "reference" not in found and found.startswith("accuracy ")
    assert "accuracy not measured" in proofs.lost_to("accuracy", {}, theirs, None, "proven")


def test_the_reference_lost_to_who_raced_it() -> None:
    told = proofs.reference_lost_to(SPEED, figures(1.0, 9), figures(0.5, 5), "proven")
    assert told == "the chosen takes 0.50x (0.49 to 0.51x) its p50 latency"
    tie = proofs.reference_lost_to(SPEED, figures(1.0, 9), figures(1.0, 5), "tie")
    assert tie.startswith("a tie with the chosen, which is smaller: the chosen takes")
