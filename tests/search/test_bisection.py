"""Bisection: what it asks, that it ends, and what it finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.search.bisection import Bisection, Hopeless

edges = st.floats(0.02, 0.98)


def run(search: Bisection, edge: float) -> list[float]:
    asked = []
    while (fraction := search.ask()) is not None:
        asked.append(fraction)
        search.tell(fraction, fraction >= edge)
    return asked


@given(edges, st.integers(1, 12))
def test_the_edge_stays_between_the_bounds(edge: float, steps: int) -> None:
    search = Bisection(0.01, 1.0, steps)
    asked = run(search, edge)
    assert len(asked) == len(set(asked)) <= steps
    assert search.low < edge <= search.high
    smallest = search.smallest
    assert smallest is None or (smallest >= edge and smallest == search.high)
    if smallest is None:
        assert not any(fraction >= edge for fraction in asked)


@given(edges)
def test_with_steps_enough_it_comes_within_the_factor(edge: float) -> None:
    search = Bisection(0.01, 1.0, steps=20, factor=1.05)
    run(search, edge)
    assert search.high <= search.low * 1.05


def test_what_is_no_search_is_refused() -> None:
    for wrong in ({"low": 0.0}, {"low": 1.0}, {"low": 0.1, "steps": 0}, {"low": 0.1, "factor": 1}):
        with pytest.raises(ValueError, match="needs 0 < low"):
            Bisection(**wrong)
    with pytest.raises(ValueError, match="not between"):
        Bisection(0.1).tell(0.05, True)


@given(st.floats(0.5, 0.95), st.lists(st.floats(0.0, 0.2), min_size=1, max_size=4))
def test_a_student_that_may_still_make_it_is_never_hopeless(
    bound: float, gains: list[float]
) -> None:
    rule = Hopeless(bound)
    assert not rule.is_hopeless(0.0), "nothing is known yet"
    for gain in gains:
        rule.learned(0.5, 0.5 + gain)
    assert not rule.is_hopeless(bound - max(rule.gains))
    assert rule.is_hopeless(bound - 2 * max(rule.gains) - 0.01)
