"""McNemar's mid-p test against a count of all tables."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.stats.paired import mcnemar

COUNTS = st.integers(0, 60)


@given(gained=COUNTS, lost=COUNTS)
def test_it_is_the_sum_over_all_tables_as_far_out(gained: int, lost: int) -> None:
    n = gained + lost
    apart = abs(gained - lost)
    exact = sum(comb(n, k) for k in range(n + 1) if abs(n - 2 * k) >= apart) / 2**n
    own = comb(n, gained) / 2**n
    expected = 1.0 if gained == lost else exact - own
    assert mcnemar(gained, lost) == pytest.approx(min(1.0, expected), abs=1e-12) or gained == lost
    assert 0.0 < mcnemar(gained, lost) <= 1.0


@given(gained=COUNTS, lost=COUNTS)
def test_it_is_symmetric_and_falls_as_they_part(gained: int, lost: int) -> None:
    assert mcnemar(gained, lost) == mcnemar(lost, gained)
    assert mcnemar(gained + lost + 1, 0) <= mcnemar(gained + 1, lost) + 1e-12


def test_known_values() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(10, 0) == pytest.approx(2**-10)
    assert mcnemar(9, 1) == pytest.approx((2 * 11 - 10) / 2**10)
    with pytest.raises(ValueError, match="no counts"):
        mcnemar(-1, 2)
