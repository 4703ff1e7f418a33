from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.stats.proportions import paired_difference, wilson

COUNTS = st.integers(1, 2000).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n)).flatmap(
        lambda hn: st.tuples(st.just(hn[0]), st.integers(0, hn[1] - hn[0]), st.just(hn[1]))
    )
)


def coverage(p_gained: float, p_lost: float, n: int, rounds: int = 4000) -> float:
    """How often the interval of simulated pairs holds the true difference."""
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(n, [p_gained, p_lost, 1 - p_gained - p_lost], size=rounds)
    tables, times = np.unique(drawn, axis=0, return_counts=True)
    truth = p_gained - p_lost
    held = 0
    for (gained, lost, _), count in zip(tables, times, strict=True):
        low, high = paired_difference(int(gained), int(lost), n)
        held += count if low <= truth <= high else 0
    return held / rounds


@pytest.mark.parametrize("n", [30, 200, 5000])
@pytest.mark.parametrize(
    ("p_gained", "p_lost"),
    [(0.01, 0.01), (0.005, 0.02), (0.002, 0.0), (0.1, 0.1), (0.05, 0.3), (0.4, 0.5)],
)
def test_the_paired_interval_keeps_its_promise(p_gained: float, p_lost: float, n: int) -> None:
    assert coverage(p_gained, p_lost, n) >= 0.94


def test_the_published_formula_on_a_worked_table() -> None:
    """12 and 6 agree, 4 and 26 differ: 0.44 +- 1.96 * 0.09448809."""
    low, high = paired_difference(26, 4, 48)
    assert (low, high) == pytest.approx((0.2548067, 0.6251933), abs=1e-6)


def test_no_difference_seen_is_not_no_difference() -> None:
    low, high = paired_difference(0, 0, 5000)
    assert low < 0 < high and high == pytest.approx(0.00055, abs=1e-4)


@given(COUNTS)
def test_the_interval_holds_the_estimate_and_turns_with_the_sides(
    counts: tuple[int, int, int],
) -> None:
    gained, lost, n = counts
    low, high = paired_difference(gained, lost, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert paired_difference(lost, gained, n) == pytest.approx((-high, -low))


@given(COUNTS)
def test_wilson_by_its_own_formula(counts: tuple[int, int, int]) -> None:
    hits, _, n = counts
    z, p = 1.959963984540054, hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert wilson(hits, n) == pytest.approx((middle - half, middle + half), abs=1e-9)


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_what_is_no_proportion_is_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="is not a proportion"):
        wilson(hits, n)


@pytest.mark.parametrize(("gained", "lost", "n"), [(0, 0, 0), (2, 2, 3), (-1, 0, 3)])
def test_counts_that_cannot_be_are_refused(gained: int, lost: int, n: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        paired_difference(gained, lost, n)
