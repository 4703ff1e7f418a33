"""Intervals whose variance is pooled: exact where all noise is alike, and wary of an outlier."""

from __future__ import annotations

import random
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeopt.stats.pooled import Sampled, pooled_intervals, sampled
from edgeopt.stats.ratios import geometric_interval, quantile_of_t


def of(values: list[float]) -> Sampled:
    return sampled(geometric_interval(values))


def test_a_sample_is_read_back_from_its_interval() -> None:
    values = [0.5, 0.55, 0.61]
    logs = np.log(values)
    found = of(values)
    assert found.mean == pytest.approx(logs.mean())
    assert found.variance == pytest.approx(logs.var(ddof=1))
    assert found.n == 3
    with pytest.raises(ValueError, match="no variance"):
        sampled(geometric_interval([0.5]))


def test_the_variance_is_that_of_all_and_its_degrees_are_summed() -> None:
    samples = [Sampled(0.0, 0.01, 3), Sampled(log(2), 0.02, 5)]
    low, high = pooled_intervals(samples)
    variance = (2 * 0.01 + 4 * 0.02) / 6
    half = quantile_of_t(6) * sqrt(variance / 3)
    assert (low.low, low.high) == pytest.approx((exp(-half), exp(half)))
    assert high.value == pytest.approx(2.0)
    assert high.half_width == pytest.approx(quantile_of_t(6) * sqrt(variance / 5))


def test_an_outlier_keeps_its_own_interval_and_does_not_widen_those_of_others() -> None:
    quiet = [Sampled(0.0, 0.0004, 3)] * 8
    noisy = Sampled(log(0.58), 0.0314, 3)
    *others, odd = pooled_intervals([*quiet, noisy])
    assert odd.half_width == pytest.approx(quantile_of_t(2) * sqrt(0.0314 / 3))
    assert all(i.half_width == pytest.approx(quantile_of_t(16) * sqrt(0.0004 / 3)) for i in others)


def test_one_alone_and_no_spread_at_all() -> None:
    (alone,) = pooled_intervals([of([0.5, 0.6])])
    assert alone.half_width == pytest.approx(geometric_interval([0.5, 0.6]).half_width)
    assert pooled_intervals([]) == []
    still = pooled_intervals([Sampled(0.0, 0.0, 3)] * 3)
    assert all(i.low == i.value == i.high == 1.0 for i in still)


SAMPLES = st.lists(
    st.builds(
        Sampled, st.floats(-2, 2), st.floats(0, 0.1), st.integers(2, 15)
    ), min_size=1, max_size=8,
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(SAMPLES, st.randoms(use_true_random=False))
def test_every_interval_holds_its_value_and_the_order_changes_nothing(
    samples: list[Sampled], dice: random.Random
) -> None:
    found = pooled_intervals(samples)
    for each, interval in zip(samples, found, strict=True):
        assert interval.low <= interval.value <= interval.high
        assert interval.value == pytest.approx(exp(each.mean)) and interval.n == each.n
    order = dice.sample(range(len(samples)), len(samples))
    again = pooled_intervals([samples[i] for i in order])
    widths = sorted(i.half_width for i in found)
    assert sorted(i.half_width for i in again) == pytest.approx(widths)


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Coverage over 2,000 draws of eight candidates with three processes each."""
    dice = np.random.default_rng(0)
    held = []
    for _ in range(250):
        drawn = np.exp(dice.normal(0.0, 0.03, size=(8, 3)))
        intervals = pooled_intervals([of(list(row)) for row in drawn])
        held += [i.low <= 1.0 <= i.high for i in intervals]
    assert 0.93 <= np.mean(held) <= 0.97
