"""What of an error is systematic, and of which outputs that is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeopt.answers.profile import profile
from edgeopt.answers.systematic import amounts, directions, judged, moved, part

Array = np.ndarray[Any, Any]


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def names(of: Any, mine: Array, theirs: Array) -> list[str]:
    return [each.name for each in of(mine, theirs, profile(theirs))]


@pytest.mark.parametrize(
    ("source", "compared"),
    [
        (drawn(50, 1), True),
        (drawn(50), True),
        (drawn(50, 1, 8, 8), True),
        (np.abs(drawn(50, 6)), True),
        (drawn(50, 6), False),
        (1 / (1 + np.exp(drawn(50, 6))), False),
        (np.arange(50) % 3, False),
    ],
    ids=["one value", "a number", "one map", "amounts", "scores", "shares", "names"],
)
def test_amounts_are_compared_by_their_size(source: Array, compared: bool) -> None:
    assert amounts(profile(source)) is compared


def test_vectors_of_one_length_are_directions() -> None:
    vectors = drawn(50, 3)
    assert not directions(vectors, profile(vectors))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert directions(units, profile(units))


def test_the_systematic_part_is_offset_and_slope_and_noise_has_none() -> None:
    values = drawn(400, 1)
    values -= values.mean()
    energy = np.square(values).sum()
    found, size = part(values, 0.3 + 0.2 * values)
    assert np.allclose(found, 0.3 + 0.2 * values)
    assert size == pytest.approx(400 * 0.09 + 0.04 * energy)
    sizes = [part(values, 0.3 * drawn(400, 1, seed=seed))[1] for seed in range(1, 50)]
    assert np.mean(sizes) < 0 < np.max(sizes) < 0.01 * energy


def test_a_rotation_is_systematic_where_values_may_stand_for_one_another() -> None:
    angle = 2 * np.pi * np.random.default_rng(0).random(400)
    circle, turned = (np.stack([np.sin(a), np.cos(a)], axis=1) for a in (angle, angle + 0.3))
    found, _ = part(circle - circle.mean(axis=0), turned - circle, turned=True)
    assert np.allclose(found, turned - circle)


def test_a_blur_is_systematic() -> None:
    source = np.cumsum(drawn(40, 1, 30), axis=2)
    blurred = source.copy()
    blurred[..., 1:-1] = (source[..., :-2] + source[..., 1:-1] + source[..., 2:]) / 3
    values = source - source.mean(axis=0)
    error = blurred - source
    found, _ = part(values, error)
    assert np.square(error - found).sum() < 0.05 * np.square(error).sum()


def test_each_of_a_few_channels_is_looked_at_and_named() -> None:
    source = 100 + drawn(400, 3) * [1, 2, 3]
    copy = source.copy()
    copy[:, 1] += 0.5
    assert names(lambda *of: judged("", *of), copy, source) == [
        "channel 1 of axis 1, the systematic part of the error"
    ]
    assert names(lambda *of: judged("", *of), source + 0.3 * drawn(400, 3, seed=1), source) == []


def test_values_beside_their_place_are_found_on_either_side() -> None:
    source = drawn(40, 3, 12)
    for by, side in ((1, "before"), (-1, "after")):
        found = names(moved, np.roll(source, by, axis=2), source)
        assert found == [f"the steps to the values {side} along axis 2, which stand in their place"]
    assert names(moved, source + drawn(40, 3, 12, seed=1), source) == []
