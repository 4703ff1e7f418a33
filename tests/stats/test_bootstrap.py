from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeopt.stats.bootstrap import (
    RESAMPLES,
    bootstrap,
    bootstrap_of_means,
    holding,
    percentile_interval,
    resampled_counts,
)


def ratio(a: Any, b: Any, axis: int = -1) -> Any:
    return a.sum(axis=axis) / b.sum(axis=axis)


def test_the_interval_of_a_mean_is_that_of_its_normal_limit() -> None:
    x = np.random.default_rng(1).normal(3, 2, 2000)
    half = 1.96 * x.std() / np.sqrt(len(x))
    low, high = bootstrap(np.mean, x)
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.15 * half)


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        low, high = bootstrap(np.mean, rng.exponential(1.0, 300))
        held += low <= 1.0 <= high
    assert 0.90 <= held / 200 <= 0.99


def test_columns_stay_paired() -> None:
    b = np.random.default_rng(3).random(100) + 0.5
    assert bootstrap(ratio, 2 * b, b) == pytest.approx((2.0, 2.0))


def test_it_is_the_same_each_time() -> None:
    x = np.random.default_rng(4).random(50)
    assert bootstrap(np.mean, x) == bootstrap(np.mean, x)


def test_equal_samples_have_no_spread() -> None:
    assert bootstrap(np.mean, np.ones(10)) == (1.0, 1.0)


def test_one_sample_is_too_few() -> None:
    with pytest.raises(ValueError, match="at least two"):
        bootstrap(np.mean, np.ones(1))


def test_of_means_it_gives_what_resampling_the_samples_gives() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(3, 2, 500), rng.random(500) + 1
    half = 1.96 * x.std() / np.sqrt(len(x))
    by_samples, by_counts = bootstrap(np.mean, x), bootstrap_of_means(np.asarray, x)
    assert by_counts == pytest.approx(by_samples, abs=0.15 * half)
    assert bootstrap_of_means(np.divide, x, y) == pytest.approx(bootstrap(ratio, x, y), rel=0.02)
    assert bootstrap_of_means(np.divide, 2 * y, y) == pytest.approx((2.0, 2.0))
    assert bootstrap_of_means(np.asarray, np.ones(10)) == (1.0, 1.0)
    assert bootstrap_of_means(np.asarray, x) == by_counts, "the same each time"


def test_of_means_it_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    drawn = [bootstrap_of_means(np.asarray, rng.exponential(1.0, 300)) for _ in range(200)]
    assert 0.90 <= np.mean([low <= 1.0 <= high for low, high in drawn]) <= 0.99


def test_of_means_many_samples_are_drawn_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(6).random(400)
    whole = bootstrap_of_means(np.asarray, x)
    monkeypatch.setattr("edgeopt.stats.bootstrap._KEPT_BYTES", 0)
    assert bootstrap_of_means(np.asarray, x) == pytest.approx(whole)


def test_of_means_what_is_not_finite_counts_where_it_is_drawn() -> None:
    x = np.append(np.zeros(3), np.inf)
    assert bootstrap_of_means(lambda mean: np.where(np.isinf(mean), 1.0, mean), x) == (0.0, 1.0)
    with pytest.raises(ValueError, match="at least two"):
        bootstrap_of_means(np.asarray, np.ones(1))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any))
def test_resampled_counts_are_of_as_many_samples_and_of_no_new_cell(counts: list[int]) -> None:
    drawn = resampled_counts(np.array(counts))
    assert drawn.shape == (RESAMPLES, len(counts))
    assert (drawn.sum(axis=1) == sum(counts)).all()
    assert not drawn[:, np.array(counts) == 0].any()


def test_resampling_counts_is_resampling_the_samples() -> None:
    hits = np.array([1.0] * 180 + [0.0] * 20)
    by_counts = percentile_interval(resampled_counts(np.array([20, 180]))[:, 1] / 200)
    assert by_counts == pytest.approx(bootstrap(np.mean, hits), abs=0.01)


def test_an_interval_holds_what_the_samples_themselves_give() -> None:
    """No resample of distinct values spreads as they do, so most spread less."""

    def distinct(values: Any, axis: int = -1) -> Any:
        return (np.diff(np.sort(values, axis=axis), axis=axis) > 0).sum(axis=axis) / 1.0

    low, high = bootstrap(distinct, np.arange(200.0))
    assert low < high == 199
    assert holding((0.2, 0.4), 0.5) == (0.2, 0.5) and holding((0.2, 0.4), 0.1) == (0.1, 0.4)
    assert np.isnan(holding((np.nan, np.nan), 0.1)).all()
