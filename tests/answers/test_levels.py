"""Few levels in place of many values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeopt.answers.levels import FEW, TIMES, coarse
from edgeopt.answers.profile import profile

VALUES = np.random.default_rng(0).normal(size=(300, 8))


def rounded(levels: int) -> np.ndarray[Any, Any]:
    low, high = VALUES.min(), VALUES.max()
    step = (high - low) / (levels - 1)
    return low + np.round((VALUES - low) / step) * step


@pytest.mark.parametrize("levels", [2, 16, FEW])
def test_few_levels_count_ten_times(levels: int) -> None:
    (found,) = coarse(rounded(levels), VALUES, profile(VALUES))
    spread = VALUES.std(axis=0)
    noise = np.square((rounded(levels) - VALUES) / spread).sum()
    assert found.sums.noise == pytest.approx(TIMES * noise)
    assert found.sums.energy == pytest.approx(VALUES.size)
    assert found.name == f"all values, which have {len(np.unique(rounded(levels)))} levels"


@pytest.mark.parametrize("levels", [2 * FEW, 256])
def test_more_are_left_to_the_error_itself(levels: int) -> None:
    assert not list(coarse(rounded(levels), VALUES, profile(VALUES)))


def test_a_source_of_few_values_has_them_by_itself() -> None:
    source = rounded(20)
    assert not list(coarse(rounded(4), source, profile(source)))


def test_few_that_are_near_are_no_grid() -> None:
    """Scores that are nearly all 0 or 1, a step of 8 bits apart at most."""
    source = np.where(VALUES > 0, 1 - 1e-3 * np.abs(VALUES), 1e-3 * np.abs(VALUES))
    assert not list(coarse(np.round(source * 255) / 255, source, profile(source)))
