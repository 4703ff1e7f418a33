"""Codes of real values and back, within half a step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgeopt.data.quantized import dequantized, quantized
from edgeopt.schema.artifact import Tensor


def tensor(dtype: str = "int8", scale: float | None = 0.5, zero: int | None = 3) -> Tensor:
    return Tensor(name="x", dtype=dtype, shape=("batch", 4), scale=scale, zero_point=zero)


@given(
    arrays.arrays(np.float32, 6, elements=st.floats(-1e3, 1e3, width=32)),
    st.sampled_from([("int8", -128, 127), ("uint8", 0, 255)]),
    st.floats(1e-3, 10.0),
    st.integers(0, 100),
)
def test_what_a_range_holds_comes_back_within_half_a_step(
    values: np.ndarray, kind: tuple[str, int, int], scale: float, zero: int
) -> None:
    dtype, low, high = kind
    made = tensor(dtype, scale, zero)
    codes = quantized(values, made)
    assert codes.dtype == dtype
    held = np.clip(values, (low - zero) * scale, (high - zero) * scale)
    np.testing.assert_allclose(dequantized(codes, made), held, atol=0.501 * scale, rtol=1e-4)


def test_halves_go_to_even_codes_and_the_rest_is_cut() -> None:
    codes = quantized(np.array([0.25, 0.75, 1.25, 1e9, -1e9]), tensor())
    assert codes.tolist() == [3, 5, 5, 127, -128]


@pytest.mark.parametrize(
    ("array", "described"),
    [
        (np.array([1, 2], np.int8), tensor(scale=None)),
        (np.array([1, 2], np.int8), tensor(zero=None)),
        (np.array([1.5, 2], np.float32), tensor()),
    ],
)
def test_what_is_no_code_stays_as_it_is(array: np.ndarray, described: Tensor) -> None:
    assert dequantized(array, described) is array
