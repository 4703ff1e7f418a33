"""A user's own metric: one value per sample, or one number for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.evaluation.user_metrics import JACKKNIFE, figures
from edgeopt.schema.errors import DataError

RNG = np.random.default_rng(0)
TRUTH = RNG.standard_normal(200)
MINE = {"y": TRUTH + RNG.normal(0, 0.2, 200)}
SOURCE = {"y": TRUTH + RNG.normal(0, 0.1, 200)}


def each(outputs: Any, labels: Any) -> Any:
    return np.abs(outputs["y"] - labels)


def overall(outputs: Any, labels: Any) -> float:
    return float(np.abs(outputs["y"] - labels).mean())


def test_values_and_their_mean_are_one_metric() -> None:
    by_values = figures("mine", each, "less", MINE, SOURCE, TRUTH)
    by_number = figures("mine", overall, "less", MINE, SOURCE, TRUTH)
    assert set(by_values) == {"metric.mine", "difference.metric.mine", "ratio.metric.mine"}
    for quantity, found in by_values.items():
        other = by_number[quantity]
        assert found.value == pytest.approx(other.value) and other.protocol == JACKKNIFE
        width, its = found.interval[1] - found.interval[0], other.interval[1] - other.interval[0]
        assert 0.5 < width / its < 2.0, quantity
        assert found.better == "less" and found.interval[0] < found.value < found.interval[1]


@given(seed=st.integers(0, 50))
def test_the_interval_of_a_number_holds_the_truth_mostly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = {"y": rng.standard_normal(100) + 3.0}
    found = figures("mean", lambda o, _: float(o["y"].mean()), "more", drawn, drawn, None)
    low, high = found["metric.mean"].interval
    wide = 3.0 * (high - low)
    assert low - wide < 3.0 < high + wide
    assert found["difference.metric.mean"].value == 0.0


def test_a_model_against_itself_differs_by_nothing() -> None:
    found = figures("mine", each, "less", MINE, MINE, TRUTH)
    assert found["difference.metric.mine"].interval == (0.0, 0.0)
    assert found["ratio.metric.mine"].interval == (1.0, 1.0)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda o, _: "high", "gives a str, no number"),
        (lambda o, _: np.zeros(7), "gives [7] values for 200 samples"),
        (lambda o, _: float("nan"), "is not finite"),
        (lambda o, _: np.where(np.arange(200) == 3, np.inf, 0.0), "is not finite for sample 3"),
    ],
)
def test_what_is_no_metric_is_named(function: Any, said: str) -> None:
    with pytest.raises(DataError, match="mine") as caught:
        figures("mine", function, "more", MINE, SOURCE, TRUTH)
    assert said in caught.value.what


def test_a_single_sample_has_no_interval() -> None:
    one = {"y": TRUTH[:1]}
    with pytest.raises(DataError, match="at least 2 samples"):
        figures("mine", each, "more", one, one, TRUTH[:1])


def test_a_ratio_to_what_some_resamples_have_none_of_is_left_out() -> None:
    """Guards against NaN in ``result.json``: the source's interval may end above zero."""
    few = {"y": np.where(np.arange(20) < 4, 1.0, 0.0)}
    found = figures("mine", lambda o, _: o["y"], "less", few, few, None)
    assert set(found) == {"metric.mine", "difference.metric.mine"}
    assert found["metric.mine"].interval[0] > 0
