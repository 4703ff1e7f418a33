"""Successive elimination: who goes, who takes more processes, and who is known to be the best."""

from __future__ import annotations

from math import exp, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeopt.decide.elimination import FIRST, KNOWN, MOST, ROUND, Elimination, excess, pooled
from edgeopt.schema.measurement import Measurement


def ratio(value: float, half: float = 0.01, n: int = FIRST) -> Measurement:
    """With an interval of so much to each side, in logarithms."""
    return Measurement(
        quantity="ratio.latency.p50", value=value, unit="x", n=n,
        low=value * exp(-half), high=value * exp(half),
    )  # fmt: skip


def among(
    *, unsure: tuple[str, ...] = (), sizes: dict[str, float] | None = None, **ratios: Measurement
) -> Elimination:
    certain = [id for id in ratios if id not in unsure]
    return Elimination(ratios, sizes or {}, certain, exact="reference")


def test_the_most_that_one_may_exceed_another_holds_both_intervals() -> None:
    assert excess(ratio(1.0, 0.03), ratio(1.0, 0.04)) == pytest.approx(0.05)
    assert excess(ratio(0.5, 0.0), ratio(0.4, 0.0)) == pytest.approx(log(0.5 / 0.4))


def test_one_goes_only_when_its_whole_interval_lies_above() -> None:
    field = among(best=ratio(0.40), near=ratio(0.405), wide=ratio(0.58, 0.44), slow=ratio(0.5))
    assert field.alive() == ["best", "near", "wide"]


def test_what_may_not_meet_the_constraints_beats_nobody_but_is_kept() -> None:
    field = among(unsure=("fast",), fast=ratio(0.2), best=ratio(0.4), slow=ratio(0.5))
    assert field.alive() == ["fast", "best"]
    assert field.known() == [], "the fast one may be far better"
    assert set(field.wanted()) == {"fast", "best"}
    assert field.order() == ["best", "slow"]


def test_two_that_are_not_told_apart_take_more_processes_and_no_others() -> None:
    field = among(a=ratio(0.40, 0.05), b=ratio(0.41, 0.05), c=ratio(0.9), reference=ratio(1.0, 0.0))
    assert field.wanted() == {"a": FIRST + ROUND, "b": FIRST + ROUND}


def test_the_reference_takes_none() -> None:
    field = among(a=ratio(1.0, 0.05), reference=ratio(1.0, 0.0))
    assert set(field.wanted()) == {"a"}


def test_it_ends_with_the_most_that_a_race_may_take() -> None:
    field = among(a=ratio(0.40, 0.05, MOST), b=ratio(0.41, 0.05, MOST - 1))
    assert field.wanted() == {"b": MOST}
    assert among(a=ratio(0.40, 0.05, MOST), b=ratio(0.41, 0.05, MOST)).wanted() == {}


def test_of_those_within_two_percent_the_smaller_is_first() -> None:
    sizes = {"a": 9.0, "b": 5.0, "c": 1.0}
    field = among(sizes=sizes, a=ratio(0.400, 0.005), b=ratio(0.402, 0.005), c=ratio(0.5, 0.005))
    assert field.known() == ["b", "a"]
    assert field.wanted() == {}
    assert field.order() == ["b", "a", "c"]


def test_the_next_is_by_its_figure_whatever_its_interval_of_those_that_may_be_as_fast() -> None:
    """Guards against a runner-up that stands lower in the table than another."""
    field = among(
        best=ratio(0.50, 0.005), wide=ratio(0.60, 0.20), exact=ratio(0.65, 0.001),
        even=ratio(0.62, 0.25),
    )  # fmt: skip
    assert field.alive() == ["best", "wide", "even"]
    assert field.order() == ["best", "wide", "even", "exact"]


def test_one_alone_is_known() -> None:
    assert among(a=ratio(0.4, 0.5)).known() == ["a"]
    assert among().alive() == [] and among().wanted() == {} and among().order() == []


FIELDS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(ratio, st.floats(0.1, 3.0), st.floats(0.0, 0.5), st.integers(2, MOST)),
    min_size=1,
)


@settings(deadline=None)
@given(FIELDS)
def test_the_lowest_is_never_eliminated_and_the_known_are_near_it(
    ratios: dict[str, Measurement],
) -> None:
    field = among(**ratios)
    lowest = min(ratios, key=lambda id: ratios[id].value)
    assert lowest in field.alive()
    for id in field.known():
        assert ratios[id].value <= (1 + KNOWN) * ratios[lowest].value * (1 + 1e-9)
    assert set(field.order()) == set(ratios)
    assert all(n > ratios[id].n for id, n in field.wanted().items())
    assert bool(field.known()) <= (not field.wanted())


def test_pooled_figures_tell_that_they_are_and_are_marked_by_their_new_width() -> None:
    told = "short race: 12 turns a side in each process, Student's t over logarithms"
    figures = {
        "a": ratio(0.4, 0.01).model_copy(update={"protocol": told}),
        "b": ratio(0.5, 0.12).model_copy(update={"protocol": told}),
        "exact": Measurement(quantity="ratio.latency.p50", value=1.0, unit="x"),
    }
    found = pooled(figures)
    assert set(found) == {"a", "b"}
    assert "wide" in found["a"].marks, "it shares the spread of the other"
    assert found["a"].protocol.endswith("with the variance pooled over 2 candidates of like noise")
    assert found["a"].value == 0.4 and found["a"].n == FIRST


def test_what_is_noisier_than_the_others_is_not_pooled_and_says_so() -> None:
    """Guards against a protocol that names candidates whose spread it leaves out."""
    told = "short race: 12 turns a side in each process, Student's t over logarithms"
    figures = {
        name: ratio(0.4, half).model_copy(update={"protocol": told})
        for name, half in {"a": 0.01, "b": 0.011, "c": 0.012, "odd": 0.9}.items()
    }
    found = pooled(figures)
    assert "pooled over 3 candidates of like noise" in found["a"].protocol
    assert "its own variance" in found["odd"].protocol and "pooled" not in found["odd"].protocol
    assert "wide" in found["odd"].marks and "wide" not in found["a"].marks
