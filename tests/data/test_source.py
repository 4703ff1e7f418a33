"""The selected samples of whole arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.data.source import chosen_rows, cut
from edgeopt.data.splits import parse_selection
from edgeopt.schema.errors import DataError

PATH = Path("samples.npz")


@given(st.integers(1, 30), st.integers(-35, 35), st.integers(-35, 35), st.integers(1, 4))
def test_arrays_and_rows_are_cut_alike(n: int, start: int, stop: int, step: int) -> None:
    selection = parse_selection(f"train[{start}:{stop}:{step}]")
    x = np.arange(2 * n).reshape(n, 2)
    expected = list(range(n))[start:stop:step]
    if not expected:
        with pytest.raises(DataError, match=f"selects no sample: split 'train' has {n}"):
            cut(PATH, {"x": x}, selection)
        return
    found, rows = cut(PATH, {"x": x, "y": np.arange(n)}, selection)
    assert found["y"].tolist() == list(rows) == expected
    assert found["x"].tolist() == x[expected].tolist() and found["x"].flags.c_contiguous


def test_lengths_that_differ_are_told_array_by_array() -> None:
    whole = {"x": np.zeros(1200), "y": np.zeros(3)}
    with pytest.raises(DataError, match=r"'train\.x' 1,200, 'train\.y' 3") as caught:
        cut(PATH, whole, parse_selection("train"))
    assert caught.value.where == "samples.npz"


def test_rows_are_chosen_without_the_arrays() -> None:
    assert list(chosen_rows(PATH, parse_selection("train[1:3]"), 10)) == [1, 2]
    with pytest.raises(DataError, match=r"'train\[20:\]' selects no sample"):
        chosen_rows(PATH, parse_selection("train[20:]"), 10)
