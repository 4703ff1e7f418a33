from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeopt.answers.averaged import Averaged
from edgeopt.schema.errors import DataError, ModelError

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
LABELS = RNG.normal(size=60)
SOURCE = LABELS + RNG.normal(size=60)
NEARER = LABELS + 0.5 * (SOURCE - LABELS)


def absolute(_quantity: str, _name: str, output: Array, labels: Array) -> Array:
    return np.abs(output - labels)


ABSOLUTE = Averaged(absolute)


def test_the_figure_is_the_mean_within_its_interval() -> None:
    found = ABSOLUTE.measure("mae", "price", SOURCE, LABELS)
    assert found.value == pytest.approx(np.abs(SOURCE - LABELS).mean())
    low, high = found.interval
    assert low < found.value < high
    assert (found.quantity, found.unit, found.n) == ("mae", "", 60)


def test_a_difference_is_paired_sample_by_sample() -> None:
    found = ABSOLUTE.difference("mae", "price", NEARER, SOURCE, LABELS)
    assert found.quantity == "difference.mae"
    assert found.value == pytest.approx(-0.5 * np.abs(SOURCE - LABELS).mean())
    assert found.interval[1] < 0
    same = ABSOLUTE.difference("mae", "price", SOURCE, SOURCE, LABELS)
    assert same.interval == (0, 0)


def test_a_ratio_is_exact_where_every_sample_is_halved() -> None:
    found = ABSOLUTE.ratio("mae", "price", NEARER, SOURCE, LABELS)
    assert (found.quantity, found.unit) == ("ratio.mae", "x")
    assert found.value == pytest.approx(0.5)
    assert found.interval == pytest.approx((0.5, 0.5)), "resampled together, not apart"


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="mae of the source is zero: no ratio to it"):
        ABSOLUTE.ratio("mae", "price", SOURCE, LABELS, LABELS)


@pytest.mark.parametrize(
    ("output", "labels", "error", "said"),
    [
        (SOURCE[:1], LABELS[:1], DataError, "mae needs at least 2 samples"),
        (SOURCE[:9], LABELS, DataError, "output 'price' has 9 samples, its labels 60"),
        (np.where(np.arange(60) == 7, np.inf, SOURCE), LABELS, ModelError,
         "mae of output 'price' is not finite for sample 7"),
    ],
)  # fmt: skip
def test_what_has_no_figure_is_named(
    output: Array, labels: Array, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        ABSOLUTE.measure("mae", "price", output, labels)


def test_values_that_are_not_one_a_sample_are_refused() -> None:
    one = Averaged(lambda _quantity, _name, output, _labels: output.mean(keepdims=True))
    with pytest.raises(ModelError, match=r"gives \[1\] values for 60 samples") as caught:
        one.measure("mae", "price", SOURCE, LABELS)
    assert caught.value.hint == "a metric that is averaged gives one value for each sample"


def test_a_ratio_to_what_most_resamples_have_none_of_is_refused() -> None:
    """Guards against an interval that is NaN."""
    source = LABELS + (np.arange(60) == 7)
    with pytest.raises(ModelError, match="mae of the source is nearly zero: no ratio to it"):
        ABSOLUTE.ratio("mae", "price", SOURCE, source, LABELS)
