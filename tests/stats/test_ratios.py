from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgeopt.stats.ratios import Interval, geometric_interval, percentile, quantile_of_t

POSITIVE = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=20)


@given(POSITIVE)
def test_the_interval_is_student_s_of_the_logarithms(values: list[float]) -> None:
    found = geometric_interval(values)
    assert found.value == pytest.approx(float(stats.gmean(values)))
    logs = np.log(values)
    error = float(stats.sem(logs))
    low, high = (logs.mean(), logs.mean()) if error == 0 else stats.t.interval(
        0.95, len(values) - 1, loc=logs.mean(), scale=error
    )  # fmt: skip
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))


@given(POSITIVE)
def test_reciprocals_have_the_interval_turned_over(values: list[float]) -> None:
    found, turned = geometric_interval(values), geometric_interval([1 / v for v in values])
    assert found.low is not None and found.high is not None
    assert (turned.low, turned.high) == pytest.approx((1 / found.high, 1 / found.low))
    assert turned.half_width == pytest.approx(found.half_width, abs=1e-9)


def test_a_single_value_has_no_interval() -> None:
    assert geometric_interval([2.5]) == Interval(2.5, None, None, 1)
    assert geometric_interval([2.5]).half_width == math.inf


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [-1.0], [math.inf], [math.nan, 1.0]])
def test_what_has_no_logarithm_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="needs positive, finite values"):
        geometric_interval(values)


def test_half_a_width_is_of_the_logarithm() -> None:
    assert Interval(1.0, 0.5, 2.0, 3).half_width == pytest.approx(math.log(2))


def test_about_19_of_20_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    draws = (geometric_interval(list(np.exp(rng.normal(0.3, 0.2, 5)))) for _ in range(2000))
    held = sum(found.low <= math.exp(0.3) <= found.high for found in draws)  # type: ignore[operator]
    assert 0.935 < held / 2000 < 0.965


def test_quantiles_of_t_are_two_sided() -> None:
    assert quantile_of_t(1) == pytest.approx(12.706, abs=1e-3)
    assert quantile_of_t(10**6) == pytest.approx(1.960, abs=1e-3)


def test_percentiles_are_in_milliseconds_between_neighbours() -> None:
    times = np.array([1e6, 2e6, 3e6, 4e6])
    assert percentile(times, 50) == 2.5
    assert percentile(times, 0) == 1.0 and percentile(times, 100) == 4.0
