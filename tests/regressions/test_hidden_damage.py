"""No part of an output may be lost behind the rest of it.

Each case was once accepted without labels: a class that is rare, a cell where two axes cross, the
few samples that are answered with nothing, scores below a mask that is no single number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nearness import accepted, drawn, quantized

from edgeopt.evaluation import compute

Array = np.ndarray[Any, Any]
ROWS = np.arange(400)


def uniform(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random(shape)


def names(count: int, *shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, count, shape)


def smooth(*shape: int, seed: int = 0) -> Array:
    """Maps whose neighbours are alike: (n, ..., h, w)."""
    found = drawn(*shape, seed=seed)
    for axis in (-1, -2):
        found = sum(np.roll(found, k, axis) for k in range(-3, 4))
    return found


def lowered_mask() -> tuple[Array, Array]:
    masked, scores = drawn(400, 9, seed=1) > 0.5, drawn(400, 9)
    return np.where(masked, scores - 1e4, scores), np.where(masked, scores - 1e4, 0.0)


def mask_far_above() -> tuple[Array, Array]:
    masked, costs = drawn(400, 9, seed=1) > 0.5, drawn(400, 9)
    return np.where(masked, 1e9, costs), np.where(masked, 1e9, 0.0)


def lost_padding() -> tuple[Array, Array]:
    padded, amounts = drawn(400, 9, seed=1) > 1, 1 + 10 * uniform(400, 9)
    return np.where(padded, -1.0, amounts), np.where(padded, 1.0, amounts)


def two_kinds_of_prices() -> tuple[Array, Array]:
    source = np.where(ROWS % 2 == 0, 10 + 10 * uniform(400), 1000 + 10 * uniform(400))[:, None]
    return source, np.where(source < 500, 15.0, 1005.0)


def column_far_above() -> tuple[Array, Array]:
    source = np.concatenate([drawn(400, 2), 1013 + drawn(400, 1, seed=1)], axis=1)
    copy = source.copy()
    copy[:, 2] = source[::-1, 2]
    return source, copy


def behind_a_rare_mask() -> tuple[Array, Array]:
    rare = uniform(400, seed=2) < 0.5
    source, copy = 3 * drawn(400, 300), 3 * drawn(400, 300, seed=1)
    source[rare, 7] = copy[rare, 7] = -1e9
    return source, copy


def rare_class() -> tuple[Array, Array]:
    source = np.where(uniform(400, seed=1) < 0.08, 3, names(3, 400))
    return source, np.where(source == 3, 0, source)


def all_background() -> tuple[Array, Array]:
    source = np.where(smooth(60, 16, 16) > 11.5, 1, 0)
    assert 0.02 < source.mean() < 0.1
    return source, np.zeros_like(source)


def no_flag() -> tuple[Array, Array]:
    source = (uniform(400) < 0.07).astype(np.int64)
    return source, np.zeros_like(source)


def no_flag_of_floats() -> tuple[Array, Array]:
    source = (uniform(400, 3) < 0.07).astype(np.float32)
    return source, np.where(np.arange(3) == 1, 0, source)


def class_column() -> tuple[Array, Array]:
    source = np.concatenate([640 * uniform(400, 20, 4), uniform(400, 20, 1, seed=1),
                             names(80, 400, 20, 1)], axis=2)  # fmt: skip
    copy = source.copy()
    copy[:, :, 5] += 1
    return source, copy


def map_of_many_classes() -> tuple[Array, Array]:
    source = smooth(40, 50, 12, 12).argmax(axis=1).astype(np.uint8)
    return source, source + np.uint8(1)


def one_cell() -> tuple[Array, Array]:
    source = drawn(400, 8, 10)
    copy = source.copy()
    copy[:, 2, 3] = 0
    return source, copy


def depth_transposed() -> tuple[Array, Array]:
    apart = smooth(400, 1, 16, 16)
    source = 30 + 20 * drawn(400, 1, 1, 1, seed=1) + apart / apart.std()
    return source, source.swapaxes(2, 3)


def series_reversed() -> tuple[Array, Array]:
    source = 20 * drawn(400, 1, 1, seed=1) + drawn(400, 24, 1)
    return source, source[:, ::-1]


def few_samples() -> tuple[Array, Array]:
    source = drawn(400, 10)
    return source, np.where(ROWS[:, None] < 16, 0, source)


def small_prices() -> tuple[Array, Array]:
    source = np.exp(2 * drawn(400, 1))
    step = np.ptp(source) / 255
    return source, np.where(source < 6 * step, 0, source)


def corners(factor: float = 1.0) -> Array:
    """Boxes of the given size, as (x1, y1, x2, y2)."""
    middle, half = 0.25 + 0.5 * uniform(400, 2), 0.03 + 0.22 * uniform(400, 2, seed=1)
    return np.concatenate([middle - factor * half, middle + factor * half], axis=1)


def boxes_too_small() -> tuple[Array, Array]:
    return corners(), corners(0.65)


def boxes_too_large() -> tuple[Array, Array]:
    return corners(), corners(1.35)


def skeleton() -> Array:
    """Eight joints on two lines, as (x, y), of bodies that stand anywhere: (n, 8, 2)."""
    side, height = np.meshgrid([-0.3, 0.3], [-0.6, -0.2, 0.2, 0.6])
    body = np.stack([side.ravel(), height.ravel()], axis=1) + 0.08 * drawn(400, 8, 2)
    place = 0.3 + 0.4 * uniform(400, 1, 2, seed=1)
    return place + (0.15 + 0.15 * uniform(400, 1, 1, seed=2)) * body


def wrists_at_elbows() -> tuple[Array, Array]:
    source = skeleton()
    copy = source.copy()
    copy[:, [6, 7]] = source[:, [4, 5]]
    return source.reshape(400, 16), copy.reshape(400, 16)


def wrong_in_the_rain() -> tuple[Array, Array]:
    """A heading that is off in one kind of weather: by less than headings vary."""
    source = 54 * drawn(400, 1)
    return source, noisy(source) + 36 * (uniform(400, 1) < 0.22)


def small_defects_lost() -> tuple[Array, Array]:
    """Half of all defects, the small ones, though most pixels belong to large ones."""
    rows, columns = np.mgrid[:20, :20]
    source = np.zeros((400, 1, 20, 20))
    places = 4 + 12 * uniform(400, 2)
    for sample in ROWS[(ROWS % 8) < 2]:
        x, y = places[sample]
        radius = 1.3 if sample % 8 == 0 else 5.0
        source[sample, 0] = 1 / (1 + np.exp(3 * (np.hypot(columns - x, rows - y) - radius)))
    return source, source * (ROWS % 8 != 0)[:, None, None, None]


def classes_that_are_alike() -> tuple[Array, Array]:
    """Five pairs of classes: what tells one from the other is shifted for all samples."""
    classes = names(10, 400)
    tells = classes % 2 * 2 - 1 + 0.55 * drawn(400)
    pairs = 8 * np.eye(5)[classes // 2] + 1.5 * drawn(400, 5, seed=1)
    way = np.array([-1.5, 1.5] * 5)
    source = pairs.repeat(2, axis=1) + tells[:, None] * way
    return source, source + 0.85 * way


def false_alarms() -> tuple[Array, Array]:
    """A rare label that fires too often."""
    rare = uniform(400, 6) < 0.08
    logits = np.where(rare, 6, -6) + drawn(400, 6)
    source = 1 / (1 + np.exp(-logits))
    alarms = (uniform(400, seed=3) < 0.06) & ~rare[:, 2]
    copy = source.copy()
    copy[alarms, 2] = 0.52
    return source, copy


def surest_alarms_inverted() -> tuple[Array, Array]:
    """The alarms of one label that are surest come out as none: an accumulator that wraps."""
    fires = uniform(2000, 12) < 0.25
    logits = np.where(fires, 5, -5) + 2 * drawn(2000, 12)
    copy = logits.copy()
    surest = logits[:, 2] > np.quantile(logits[fires[:, 2], 2], 0.85)
    copy[surest, 2] *= -1
    return 1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(-copy))


def picks_with_padding_in_them() -> tuple[Array, Array]:
    """Scores of up to twelve places beside a mask: what is hidden sways the choice a little."""
    hidden = np.arange(12) >= names(10, 2000)[:, None] + 3
    scores = 20 * drawn(2000, 12) + 15 * np.abs(drawn(2000, 12, seed=1))
    swayed = scores + 13 * drawn(2000, 12, seed=2) * hidden.mean(axis=1, keepdims=True)
    return np.where(hidden, -1e9, scores), np.where(hidden, -1e9, swayed)


def embeddings_in_few_levels() -> tuple[Array, Array]:
    """Vectors in sixteen levels: neighbours of a sample are others."""
    kinds = drawn(20, 32)[names(20, 1200)]
    source = kinds + 0.4 * drawn(1200, 32, seed=1)
    return source, quantized(source, steps=15)


def picture_in_nine_levels() -> tuple[Array, Array]:
    source = smooth(200, 1, 24, 24) / 7
    return source, quantized(source, steps=8)


def headings_in_eight_directions() -> tuple[Array, Array]:
    angles = 2 * np.pi * uniform(400)
    eighths = np.rint(angles * 4 / np.pi) * np.pi / 4
    source, copy = (np.stack([np.cos(a), np.sin(a)], axis=1) for a in (angles, eighths))
    return source, np.round(copy, 6)


def noisy(values: Array, share: float = 0.01) -> Array:
    """With an error that is a share of what all values vary by, evenly spread."""
    return values + share * values.std() * drawn(*values.shape, seed=9)


DAMAGED = [
    small_defects_lost, classes_that_are_alike, false_alarms, boxes_too_small,
    boxes_too_large, wrists_at_elbows, wrong_in_the_rain, column_far_above, behind_a_rare_mask,
    lowered_mask, mask_far_above, lost_padding, two_kinds_of_prices, rare_class, all_background,
    no_flag, no_flag_of_floats, class_column, map_of_many_classes, one_cell, depth_transposed,
    series_reversed, few_samples, small_prices, surest_alarms_inverted,
    picks_with_padding_in_them, embeddings_in_few_levels, picture_in_nine_levels,
    headings_in_eight_directions,
]  # fmt: skip


@pytest.mark.parametrize("damaged", DAMAGED, ids=lambda made: made.__name__)
def test_what_the_rest_hides_is_refused(damaged: Callable[[], tuple[Array, Array]]) -> None:
    source, copy = damaged()
    assert accepted({"o": source}, {"o": source})
    assert not accepted({"o": copy}, {"o": source})


def density() -> Array:
    """Maps of what is nowhere near the border, which shows no more than its tails."""
    at = 4 + 24 * uniform(500, 8, 2)
    rows, columns = (np.exp(-np.square(np.arange(32) - at[..., axis, None]) / 4) for axis in (0, 1))
    return np.einsum("nkh,nkw->nhw", rows, columns)


def peaks() -> Array:
    """Heatmaps of five points, and of little more than nothing beside them."""
    at = 12 + 8 * uniform(400, 5, 2)
    rows, columns = (np.exp(-np.square(np.arange(32) - at[..., axis, None]) / 8) for axis in (0, 1))
    return rows[..., :, None] * columns[..., None, :] + 0.0012 * smooth(400, 5, 32, 32) / 7


def shares(logits: Array) -> Array:
    """Softmax along axis 1."""
    found = np.exp(logits)
    return found / found.sum(axis=1, keepdims=True)


def sloped(*shape: int) -> Array:
    """Heat maps whose borders hardly light up."""
    rows = np.exp(-np.square(np.arange(shape[-1]) - shape[-1] / 2) / 10)
    return 1 / (1 + np.exp(4 - smooth(*shape) * rows))


@pytest.mark.parametrize(
    "made",
    [
        lambda: shares(3 * drawn(400, 200)),
        lambda: shares(5 * drawn(400, 1000)),
        lambda: sloped(100, 1, 16, 16),
        lambda: np.exp(1.5 * drawn(400, 1)),
        lambda: drawn(400, 8, 10) * np.linspace(0.02, 1, 80).reshape(8, 10),
        lambda: np.where(drawn(400, 9, seed=1) > 1, -1.0, 1 + 10 * uniform(400, 9)),
        lambda: 30 + 5 * drawn(400, 1, 1, 1, seed=1) + smooth(400, 1, 16, 16) / 7,
        lambda: np.maximum(drawn(400, 30), 0),
        lambda: np.where(uniform(400, 4, seed=1) < 0.05, 1.0, 0.0),
        lambda: small_defects_lost()[0],
        lambda: classes_that_are_alike()[0],
        lambda: false_alarms()[0],
        corners,
        density,
        peaks,
        lambda: skeleton().reshape(400, 16),
    ],
    ids=["softmax of 200", "softmax of 1000", "borders", "amounts", "cells", "padding", "depth",
         "rectified", "flags", "defects", "alike",
         "labels", "corners", "density", "peaks", "skeleton"],
)  # fmt: skip
def test_honest_int8_of_such_outputs_is_accepted(made: Callable[[], Array]) -> None:
    """What is looked at more closely still holds in 255 steps over its range."""
    source = made()
    assert accepted({"o": quantized(source)}, {"o": source})


@pytest.mark.parametrize("wide", [12, 26, 60])
@pytest.mark.parametrize("held", [2, 4, 8])
def test_int8_weights_behind_few_features_are_accepted(held: int, wide: int) -> None:
    """All outputs tell of the same few features, so that each is known from the others."""
    features, weights = drawn(400, held), drawn(held, wide, seed=1)
    step = np.abs(weights).max() / 127
    source = np.tanh(features @ weights / held)
    copy = np.tanh(features @ (np.round(weights / step) * step) / held)
    assert accepted({"o": quantized(copy)}, {"o": source})


def test_amounts_that_are_often_nothing_are_near_where_they_are_something() -> None:
    """Half of the samples are exact, for they are zero: the others are no kind of their own."""
    source = np.maximum(drawn(400, 8) - 0.5, 0) * (uniform(400, 1) < 0.5)
    copy = np.where(source > 0, noisy(source, 0.1), 0)
    assert accepted({"o": copy}, {"o": source})


def test_images_that_are_off_by_one_are_near() -> None:
    """Pixels are amounts: neighbours differ by less than any two of them do."""
    picture = smooth(20, 1, 24, 24)
    source = np.clip(128 + 12 * picture, 0, 255).astype(np.uint8)
    copy = source ^ (uniform(*source.shape) < 0.3).astype(np.uint8)
    assert compute("fidelity.sqnr", {"o": copy}, None, {"o": source}).value > 20


def test_a_few_wrong_names_are_no_lost_class() -> None:
    """A classifier that answers 3% of its samples otherwise is near."""
    source = names(50, 400)
    copy = np.where(uniform(400) < 0.03, names(50, 400, seed=2), source)
    assert accepted({"o": copy}, {"o": source})


def test_what_was_lost_is_named() -> None:
    source, copy = rare_class()
    found = compute("fidelity.sqnr", {"o": copy}, None, {"o": source})
    assert "value 3" in found.where
    source, copy = one_cell()
    assert "value [2, 3]" in compute("fidelity.sqnr", {"o": copy + 1e-3 * source}, None,
                                     {"o": source}).where  # fmt: skip
    source, copy = few_samples()
    where = compute("fidelity.sqnr", {"o": copy}, None, {"o": source}).where
    assert re.search(r"the 1\d samples that are furthest off", where)
