"""Errors that are gathered in one place are found by name; those that are spread are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nearness import drawn, quantized

from edgeopt.answers.profile import profile
from edgeopt.answers.structure import gathered, shared
from edgeopt.answers.sums import Judged

Array = np.ndarray[Any, Any]


def parts(mine: Array, theirs: Array) -> dict[str, Judged]:
    return {each.name: each for each in gathered(mine, theirs, profile(theirs))}


def noisy(values: Array, share: float = 0.05) -> Array:
    return values + share * values.std(axis=0) * drawn(*values.shape, seed=7)


def smooth(*shape: int) -> Array:
    found = drawn(*shape)
    for axis in (-1, -2):
        found = sum(np.roll(found, k, axis) for k in range(-3, 4))
    scaled: Array = found / found.std()
    return scaled


@pytest.mark.parametrize(
    "source", [drawn(400, 10), smooth(100, 1, 48, 48), drawn(300, 24, 8), drawn(60, 3)], ids=str
)
def test_spread_errors_are_gathered_nowhere(source: Array) -> None:
    assert parts(noisy(source), source) == {}
    assert parts(quantized(source), source) == {}
    assert parts(source.copy(), source) == {}


def test_what_channels_share_is_lost_though_each_keeps_nearly_all() -> None:
    """The size of a box between its corners."""
    middle, size = 100 * drawn(400, 1), 20 * drawn(400, 1, seed=1)
    source = np.concatenate([middle - size, middle + size], axis=1)
    copy = np.concatenate([middle, middle], axis=1)
    found = parts(copy, source)["what channels of axis 1 share"]
    assert found.sums.noise == pytest.approx(found.sums.energy, rel=0.05)
    assert np.allclose(tuple(found.rows().total()), tuple(found.sums))


def test_a_constant_error_is_no_direction() -> None:
    source = drawn(400, 10)
    assert parts(source + 0.3, source) == {}


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (lambda energy: energy < np.quantile(energy, 0.3), "of quiet values"),
        (lambda energy: energy > np.quantile(energy, 0.7), "of loud values"),
    ],
)
def test_the_samples_that_alone_are_wrong_are_told(wrong: Any, name: str) -> None:
    source = drawn(400, 30) * np.exp(drawn(400, 1, seed=1))
    energy = np.square(source).mean(axis=1)
    copy = noisy(source, 0.001)
    copy[wrong(energy)] = -source[wrong(energy)]
    assert any(name in each for each in parts(copy, source))


def test_samples_of_low_values_are_told() -> None:
    source = drawn(400, 30) + 3 * drawn(400, 1, seed=1)
    low = source.mean(axis=1) < np.quantile(source.mean(axis=1), 0.3)
    copy = noisy(source, 0.001)
    copy[low] += 3 * drawn(int(low.sum()), 30, seed=2)
    assert any("of low values" in each for each in parts(copy, source))


def test_a_tile_that_is_always_wrong_is_named_by_its_place() -> None:
    source = smooth(60, 1, 96, 96)
    copy = noisy(source, 0.01)
    copy[:, :, 16:24, 24:40] = 0
    (name,) = [each for each in parts(copy, source) if each.startswith("tile")]
    row, column = (int(x) for x in name[len("tile [0, ") : name.index("]")].split(", "))
    assert 8 <= row < 12 and 12 <= column < 20 and name.endswith("of [1, 48, 48]")


def test_parts_that_are_wrong_now_and_then_are_counted_by_their_samples() -> None:
    source = smooth(60, 1, 64, 64)
    copy = noisy(source, 0.01)
    for row in range(0, 60, 2):
        at = 2 * (row % 24)
        copy[row, 0, at : at + 16, at : at + 16] = -source[row, 0, at : at + 16, at : at + 16]
    (name,) = [each for each in parts(copy, source) if "furthest off" in each]
    assert name == "the parts of 30 samples that are furthest off"


def test_too_few_samples_tell_nothing() -> None:
    source = drawn(4, 10)
    assert parts(-source, source) == {}
    source = np.zeros((5, 3))
    source[0, 0] = 1.5
    assert not [each for each in parts(np.zeros((5, 3)), source) if "parts of" in each], (
        "one sample has no interval"
    )


def test_several_outputs_may_share_what_is_lost() -> None:
    """A lower bound, a median and an upper bound, an output each."""
    middle, width = 100 * drawn(400, 1), 30 * np.abs(drawn(400, 1, seed=1))
    source = [middle - width, middle, middle + width]
    (found,) = shared([middle] * 3, source)
    assert found.name == "what channels of axis 1 share"
    assert list(shared([noisy(each, 0.0001) for each in source], source)) == []
    assert list(shared(source, source)) == []
    assert list(shared([middle, middle], [middle, np.ones_like(middle)])) == [], "one is constant"


def test_few_channels_are_held_against_what_no_other_tells() -> None:
    """A value that nearly follows from others: what is left of it is lost."""
    common, apart = drawn(400, 1), 0.1 * drawn(400, 12, seed=1)
    source = common + apart
    copy = noisy(source, 0.001)
    copy[:, 3] -= apart[:, 3]
    assert "what channel 3 of axis 1 alone tells" in parts(copy, source)
    copy[:, 5] -= apart[:, 5]
    assert "what channels 3, 5 of axis 1 alone tell" in parts(copy, source)
    assert "alone" not in " ".join(parts(noisy(source, 0.05), source))
