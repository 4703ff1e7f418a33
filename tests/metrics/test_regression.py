"""Errors of predicted values: equal to their definition, paired, and refused where unfit."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.evaluation import compute, difference, ratio
from edgeopt.schema.errors import DataError, ModelError

RNG = np.random.default_rng(0)
TRUE = RNG.normal(size=(200, 3)).astype(np.float32)
NEAR, FAR = TRUE + RNG.normal(0, 0.1, TRUE.shape), TRUE + RNG.normal(0, 0.2, TRUE.shape)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("mse", np.square(NEAR - TRUE).mean()), ("mae", np.abs(NEAR - TRUE).mean())],
)
def test_a_figure_is_its_definition_within_its_interval(quantity: str, expected: float) -> None:
    found = compute(quantity, {"o": NEAR}, TRUE)
    assert found.value == pytest.approx(expected)
    low, high = found.interval
    assert low < found.value < high and found.n == 200


def test_worse_is_told_with_certainty_and_equal_is_zero() -> None:
    worse = difference("mse", {"o": FAR}, {"o": NEAR}, TRUE)
    assert worse.interval[0] > 0
    assert difference("mae", {"o": NEAR}, {"o": NEAR}, TRUE).interval == (0.0, 0.0)
    times = ratio("mse", {"o": FAR}, {"o": NEAR}, TRUE)
    assert times.unit == "x" and 3.0 < times.interval[0] < times.value < times.interval[1] < 5.5
    with pytest.raises(ModelError, match="zero"):
        ratio("mse", {"o": NEAR}, {"o": TRUE}, TRUE)


def test_the_output_of_the_labels_shape_is_taken() -> None:
    flat = {"other": np.zeros((200, 7)), "o": NEAR.reshape(200, 3, 1)}
    assert compute("mse", flat, TRUE).value == pytest.approx(np.square(NEAR - TRUE).mean())
    with pytest.raises(DataError, match="in the shape of an output"):
        compute("mse", {"o": NEAR[:, :2]}, TRUE)


def test_labels_of_the_other_kind_are_refused() -> None:
    with pytest.raises(DataError, match="float values"):
        compute("mse", {"o": NEAR}, np.zeros(200, np.int64))
    with pytest.raises(DataError, match="class labels"):
        compute("accuracy", {"o": NEAR}, TRUE)
