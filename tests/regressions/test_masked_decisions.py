"""A masked value is left out of what is compared, and nothing else is: its sample still decides.

Each case was once accepted without labels: masked values stood at the mean of their column, so that
a sample with one of them had another highest value, and no differences between its values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nearness import accepted, drawn, quantized

Array = np.ndarray[Any, Any]

FEW = np.array([1, 1, 0.9, 0.9, 0.7, 0.5, 0.3, 0.06])  # how often each action is allowed
ONE = np.array([1, 1, 1, 1, 1, 1, 1, 0.07])  # nearly all samples mask one
HALF = np.full(8, 0.5)


def returns(allowed: Array, mask: float) -> Array:
    """What each action is worth: by far most of it is what the state is worth. (n, actions)"""
    shown = np.random.default_rng(3).random((400, 8)) < allowed
    shown[:, 0] = True
    values = 110 + 25 * drawn(400, 1, seed=1) + 4 * drawn(400, 8)
    values[:, 7] += 6
    return np.where(shown, values, mask)


def one_action_less(values: Array) -> Array:
    lowered: Array = values - 8 * (np.arange(8) == 7)
    return lowered


def advantages_lost(values: Array) -> Array:
    shown = values > -1e6
    mean = np.nanmean(np.where(shown, values, np.nan), axis=1, keepdims=True)
    return np.where(np.arange(8) > 3, mean + 0.2 * (values - mean), values)


def coarse(values: Array) -> Array:
    stepped: Array = np.round(values / 5) * 5
    return stepped


def noisy(values: Array) -> Array:
    off: Array = values + 3 * drawn(400, 8, seed=5)
    return off


@pytest.mark.parametrize("mask", [-np.inf, -1e9], ids=["infinity", "number"])
@pytest.mark.parametrize("allowed", [FEW, ONE, HALF], ids=["few", "one", "half"])
@pytest.mark.parametrize("damage", [one_action_less, advantages_lost, coarse, noisy])
def test_samples_with_masked_values_still_decide(
    damage: Callable[[Array], Array], allowed: Array, mask: float
) -> None:
    source = returns(allowed, mask)
    with np.errstate(invalid="ignore"):
        copy = np.where(source > -1e6, damage(source), source)
    assert not accepted({"q": copy}, {"q": source})


@pytest.mark.parametrize("mask", [-np.inf, -1e9], ids=["infinity", "number"])
@pytest.mark.parametrize("allowed", [FEW, ONE, HALF], ids=["few", "one", "half"])
def test_int8_of_masked_values_is_accepted(allowed: Array, mask: float) -> None:
    source = returns(allowed, mask)
    assert accepted({"q": source}, {"q": source})
    assert accepted({"q": quantized(source)}, {"q": source})


def test_masks_of_maps_and_of_padded_sequences_hide_no_labels() -> None:
    """Padding after each word: half of all letters are masked, one label of the others is lost."""
    length = np.random.default_rng(2).integers(4, 20, 400)
    shown = (np.arange(20) < length[:, None])[..., None]
    logits = 2 * drawn(400, 20, 6) + np.array([4, 1, 0, 0, 0, -1])
    source = np.where(shown, logits, -1e9)
    copy = np.where(shown, logits - 3 * (np.arange(6) == 1), -1e9)
    assert accepted({"tags": quantized(source)}, {"tags": source})
    assert not accepted({"tags": copy}, {"tags": source})
