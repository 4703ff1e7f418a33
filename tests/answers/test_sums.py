from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.answers.sums import Sums, joined, pooled


def test_parts_without_a_name_are_left_out() -> None:
    assert joined("a", "", "b") == "a, b"
    assert joined("", "") == ""


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(1, 40))
def test_pooling_is_a_mean_over_neighbours_until_it_is_small_enough(
    shape: list[int], most: int
) -> None:
    values = np.random.default_rng(0).random((2, *shape))
    made = pooled(values, most)
    assert made[:1].size <= most and made.ndim == values.ndim
    assert values.min() <= made.min() <= made.max() <= values.max()
    if values[:1].size <= most:
        assert made is values
    assert np.allclose(pooled(np.ones((2, *shape)), most), 1)


def test_the_longest_axis_goes_first_and_the_last_neighbour_may_be_alone() -> None:
    values: Any = np.array([[[0.0, 2.0, 4.0, 6.0, 9.0], [1.0, 1.0, 1.0, 1.0, 1.0]]])
    assert pooled(values, 6).tolist() == [[[1.0, 5.0, 9.0], [1.0, 1.0, 1.0]]]


def test_a_spared_axis_is_pooled_last() -> None:
    values = np.random.default_rng(0).random((2, 6, 4))
    assert pooled(values, 12).shape == (2, 3, 4)
    assert pooled(values, 12, spared=1).shape == (2, 6, 2)
    assert pooled(values, 6, spared=1).shape == (2, 6, 1)


def test_sums_of_samples_add_up() -> None:
    rows = Sums(*(np.array([1.0, 2.0]) * k for k in range(1, 5)))
    assert tuple(rows.total()) == pytest.approx((3, 6, 9, 12))
