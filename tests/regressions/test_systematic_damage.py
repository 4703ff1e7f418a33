"""An error that follows from the answer is refused where one of rounding, as large, is not.

Amounts that are all a tenth too small or too large, a range that ends too early, series that come
late: none of that is noise that averages out, and it hides below a bound that noise has to keep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nearness import accepted, drawn, quantized

Array = np.ndarray[Any, Any]
Case = tuple[Array, Array]


def uniform(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random(shape)


def ages() -> Array:
    found: Array = 50 + 16 * np.tanh(drawn(400, 1))
    return found


def steering() -> Array:
    return np.tanh(0.5 * drawn(400))


def ages_too_near_the_mean() -> Case:
    source = ages()
    return source, 50 + 0.75 * (source - 50)


def steering_to_the_right() -> Case:
    return steering(), steering() + 0.1


def small_steering_lost() -> Case:
    source = steering()
    return source, np.sign(source) * np.maximum(np.abs(source) - 0.12, 0)


def one_of_three_amounts_too_large() -> Case:
    source = np.array([50, 170, 70]) + np.array([12, 10, 14]) * drawn(400, 3)
    return source, source * np.array([1, 1, 1.05])


def next_value_too_low() -> Case:
    source = 20 + 180 * uniform(400)
    return source, 0.93 * source


def alarms() -> Array:
    """A score that is high in six samples of 400, the highest 0.9."""
    rare = np.arange(400) % 66 == 7
    return np.where(rare, 0.55 + 0.35 * uniform(400), 0.02 * uniform(400, seed=1))


def rare_alarms_lower() -> Case:
    return alarms(), 0.7 * alarms()


def distances() -> Array:
    """From less than 1 to 200, as many of 1 to 10 as above."""
    return np.exp(2.4 + 1.1 * drawn(400)).clip(0.3, 210)


def distances_far_by_a_little() -> Case:
    return distances(), distances() + 2.5


def near_distances_are_nothing() -> Case:
    source = distances()
    step = source.max() / 40
    return source, np.round(source / step) * step


def pictures(level: float = 0.0, reach: int = 2) -> Array:
    found = drawn(60, 1, 24, 24)
    for axis in (-1, -2):
        found = np.sum([np.roll(found, k, axis) for k in range(-reach, reach + 1)], axis=0)
    scaled: Array = level + 40 * found / found.std()
    return scaled


def pattern_in_pictures() -> Case:
    source = pictures()
    return source, source + 12 * (np.indices((24, 24)).sum(axis=0) % 2 * 2 - 1)


def headings() -> Array:
    angle = 2 * np.pi * uniform(400)
    return np.stack([np.sin(angle), np.cos(angle)], axis=1)


def headings_turned() -> Case:
    source, way = headings(), np.radians(17)
    turn = np.array([[np.cos(way), np.sin(way)], [-np.sin(way), np.cos(way)]])
    return source, source @ turn


def embeddings_beside_themselves() -> Case:
    source = drawn(400, 32)
    source /= np.linalg.norm(source, axis=1, keepdims=True)
    return source, source + 0.05


def season(late: int = 0) -> Array:
    """Forecasts of twelve steps, three quantiles each, of products that sell more or less."""
    at = np.arange(12) - late
    level, phase = 20 + 180 * uniform(400, 1), 2 * np.pi * uniform(400, 1, seed=1)
    middle = level * (1 + 0.08 * np.sin(2 * np.pi * at / 12 + phase) + 0.01 * drawn(400, 1) * at)
    return np.stack([0.95 * middle, middle, 1.05 * middle], axis=2)


def forecast_late() -> Case:
    source = season()
    return source, np.concatenate([source[:, :1], source[:, :-1]], axis=1)


def picture_beside_its_place() -> Case:
    source = pictures(128, 4) + 60 * drawn(60, 1, 1, 1, seed=3)
    return source, np.concatenate([source[..., 1:], source[..., -1:]], axis=3)


DAMAGED = [
    ages_too_near_the_mean, steering_to_the_right, small_steering_lost, next_value_too_low,
    one_of_three_amounts_too_large, rare_alarms_lower,
    distances_far_by_a_little, near_distances_are_nothing, pattern_in_pictures,
    headings_turned, embeddings_beside_themselves, forecast_late, picture_beside_its_place,
]  # fmt: skip


@pytest.mark.parametrize("damaged", DAMAGED, ids=lambda made: made.__name__)
def test_an_error_that_follows_from_the_answer_is_refused(damaged: Callable[[], Case]) -> None:
    source, copy = damaged()
    assert accepted({"o": source}, {"o": source})
    assert not accepted({"o": copy}, {"o": source})


HONEST = [ages, steering, alarms, distances, pictures, headings, season]


@pytest.mark.parametrize("made", HONEST, ids=lambda made: made.__name__)
def test_int8_of_such_amounts_is_accepted(made: Callable[[], Array]) -> None:
    source = made()
    assert accepted({"o": quantized(source)}, {"o": source})


@pytest.mark.parametrize("samples", [16, 40, 400])
@pytest.mark.parametrize("made", [ages, steering, pictures, headings])
def test_noise_as_large_as_what_is_refused_is_accepted(
    made: Callable[[], Array], samples: int
) -> None:
    """Of few samples, some noise looks systematic by chance: that part counts for nothing."""
    source = made()[:samples]
    spread = (source - source.mean(axis=0)).std()
    for seed in range(5):
        copy = source + 0.15 * spread * drawn(*source.shape, seed=100 + seed)
        assert accepted({"o": copy}, {"o": source})


def test_scores_of_classes_may_all_be_stretched_or_raised() -> None:
    """A student that is less sure of the same answers is near."""
    source = 3 * drawn(400, 10)
    assert accepted({"o": 0.8 * source + 0.3}, {"o": source})


def test_points_whose_differences_hardly_vary_are_near_if_the_points_are() -> None:
    """The nose of a face of 90 pixels lies in its middle: 8 bits say no more of where."""
    place = 30 + 36 * uniform(400, 1, 2)
    face = 9 * np.array([[-1, -1], [1, -1], [0, 0], [-0.7, 1], [0.7, 1]])
    wide = 1 + 0.25 * drawn(400, 1, 1, seed=1).clip(-2, 2)
    source = place + wide * face + 0.5 * drawn(400, 5, 2, seed=2)
    source[:, 2] += np.array([0.2, 1.5]) * drawn(400, 2, seed=3)
    off = np.array([[0.2, 0.1], [-0.2, 0.2], [0.4, -0.2], [-0.1, 0.2], [-0.2, -0.1]])
    copy = quantized(source + off + 0.25 * drawn(400, 5, 2, seed=4))
    assert accepted({"o": copy}, {"o": source})
