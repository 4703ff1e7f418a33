"""Ranges that leave out what is rare: never wider than the values, and nearer to most of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper, parser

from edgeopt.quantization.ranges_onnx import METHODS, least_error, ranges_found

FLOATS = st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=200)


def squared_error(values: np.ndarray, low: float, high: float) -> float:
    """Of values rounded to 255 steps within a range."""
    step = (high - low) / 255 or 1.0
    rounded = np.clip(np.round((values - low) / step), 0, 255) * step + low
    return float(((values - rounded) ** 2).mean())


@given(FLOATS)
def test_the_range_of_least_error_holds_zero_and_lies_within_the_values(
    values: list[float],
) -> None:
    array = np.asarray(values, np.float64)
    most = float(np.abs(array).max()) or 1.0
    hist, edges = np.histogram(array, 2048, range=(-most, most))
    low, high = least_error(hist, edges, float(array.min()), float(array.max()))
    assert min(array.min(), 0.0) <= low <= 0.0 <= high <= max(array.max(), 0.0)


def test_one_outlier_among_many_is_left_out() -> None:
    values = np.append(np.random.default_rng(0).normal(size=200_000), 60.0)
    hist, edges = np.histogram(values, 2048, range=(-60, 60))
    low, high = least_error(hist, edges, float(values.min()), 60.0)
    assert high < 50
    assert squared_error(values, low, high) < squared_error(values, float(values.min()), 60.0)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_gives_a_range_for_each_activation(method: str, tmp_path: Path) -> None:
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[64,16] x) => (float[64,8] y) '
        "{ a = MatMul(x, w)\n y = Relu(a) }"
    )
    dice = np.random.default_rng(1)
    weight = dice.normal(size=(16, 8)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    onnx.save(model, tmp_path / "float.onnx")
    feeds = [{"x": dice.normal(size=(64, 16)).astype(np.float32)} for _ in range(40)]
    feeds[7]["x"][3] *= 30
    found = ranges_found(tmp_path / "float.onnx", feeds, method, tmp_path)
    assert found.keys() >= {"x", "y"}
    largest = max(float(feed["x"].max()) for feed in feeds)
    assert 2.5 < found["x"][1] <= largest * 1.001  # edges of the histogram
