"""Measured speed by width: only what is faster than all wider ones is offered."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgeopt.search.table import Width, offered, widest


def width(kept: float, ratio: float, half: float = 0.02) -> Width:
    return Width(kept, kept, ratio, ratio / (1 + half), ratio * (1 + half))


def test_a_width_that_kernels_do_not_like_is_not_offered() -> None:
    table = [width(1.0, 1.0), width(0.5, 0.4), width(0.4, 0.55), width(0.25, 0.3)]
    assert [w.kept for w in offered(table)] == [1.0, 0.5, 0.25]
    found = widest(table, 0.5)
    assert found is not None and found.kept == 0.5
    assert widest(table, 0.1) is None


def test_what_is_faster_within_the_noise_is_not_offered() -> None:
    assert len(offered([width(0.5, 0.4), width(0.4, 0.395)])) == 1


tables = st.lists(
    st.builds(width, st.floats(0.01, 1), st.floats(0.01, 2), st.floats(0, 0.2)), max_size=12
)


@given(tables, st.floats(0.01, 2))
def test_offers_fall_in_width_and_time_and_the_widest_fitting_is_taken(
    table: list[Width], ratio: float
) -> None:
    found = offered(table)
    for wide, narrow in pairwise(found):
        assert wide.kept >= narrow.kept and wide.ratio > narrow.ratio
    taken = widest(table, ratio)
    fitting = [w for w in found if w.high <= ratio]
    assert (taken is None) == (not fitting)
    if taken is not None:
        assert taken.high <= ratio and taken.kept == max(w.kept for w in fitting)
