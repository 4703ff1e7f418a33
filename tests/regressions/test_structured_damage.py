"""Damage that has a structure is refused, however little of an output's energy it takes.

An error that is spread as noise is harmless at a level where the same energy, all in the size of a
box, the colour of an image, the samples at night or the decisions themselves, is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nearness import accepted, drawn, quantized

from edgeopt.evaluation import compute

Array = np.ndarray[Any, Any]
Case = tuple[Array, Array]


def uniform(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random(shape)


def smooth(*shape: int, seed: int = 0) -> Array:
    """Maps whose neighbours are alike: (n, ..., h, w), of spread 1."""
    found = drawn(*shape, seed=seed)
    for axis in (-1, -2):
        found = sum(np.roll(found, k, axis) for k in range(-3, 4))
    scaled: Array = found / found.std()
    return scaled


# decisions


def saturated_logits() -> Case:
    source = 3 * drawn(400, 200)
    return source, np.minimum(source, np.quantile(source, 0.95))


def top_below_second() -> Case:
    source = 3 * drawn(400, 200)
    order = source.argsort(axis=1)
    copy, rows = source.copy(), np.arange(400)
    copy[rows, order[:, -1]] = source[rows, order[:, -2]] - 0.01
    return source, copy


def rare(shape: tuple[int, ...], share: float, seed: int = 0) -> Array:
    """Logits of which few are above 0."""
    found = np.random.default_rng(seed).normal(-5.5, 1.3, shape)
    return np.where(uniform(*shape, seed=seed + 1) < share, 1 + 3 * uniform(*shape, seed=9), found)


def no_box_above_a_threshold() -> Case:
    source = rare((300, 36, 3), 0.014)
    return source, np.minimum(source, -0.7)


def labels() -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    shares = np.r_[0.5, 0.4, 0.3, 0.3, 0.2, 0.2, 0.15, 0.1, 0.1, 0.08, 0.06, 0.05]
    yes = random.random((400, 12)) < shares
    return np.where(yes, random.beta(8, 2, yes.shape), random.beta(1.2, 9, yes.shape)), yes


def labels_that_never_fire() -> Case:
    source, _ = labels()
    copy = source.copy()
    copy[:, 7:] = np.minimum(source[:, 7:], 0.45)
    return source, copy


def points_that_always_show() -> Case:
    source = 1 - labels()[0][:, 7:]
    copy = source.copy()
    copy[:, 3:] = np.maximum(source[:, 3:], 0.55)
    return source, copy


def rare_tags_lost() -> Case:
    random = np.random.default_rng(0)
    tags = random.choice(7, (400, 16), p=[0.82, 0.05, 0.05, 0.03, 0.03, 0.01, 0.01])
    source = random.normal(-1.5, 1.2, (400, 16, 7))
    np.put_along_axis(source, tags[..., None], random.normal(4.5, 0.7, (400, 16, 1)), 2)
    copy = source.copy()
    copy[..., 5:] = np.minimum(source[..., 5:], 0)
    return source, copy


def heat_of_one_point() -> Case:
    y, x = np.mgrid[:16, :16]
    at = 2 + 12 * uniform(300, 5, 2)[..., np.newaxis, np.newaxis]
    source = np.exp(-((x - at[:, :, 0]) ** 2 + (y - at[:, :, 1]) ** 2) / 4)
    copy = source.copy()
    copy[:, 3] = np.minimum(source[:, 3], 0.2)
    return source, copy


def no_defect_above_a_half() -> Case:
    random = np.random.default_rng(0)
    source = random.beta(1, 30, (300, 32, 32))
    for i in np.flatnonzero(random.random(300) < 0.15):
        a, b = random.integers(0, 27, 2)
        source[i, a : a + 4, b : b + 4] = random.beta(9, 2, (4, 4))
    return source, np.minimum(source, 0.45)


def rare_class_never_wins() -> Case:
    classes = np.where(np.arange(400) < 6, 11, np.random.default_rng(0).integers(0, 11, 400))
    source = drawn(400, 12) + 6 * np.eye(12)[classes]
    copy = source.copy()
    copy[:, 11] = np.minimum(source[:, 11], 1)
    return source, copy


def sure_scores() -> Array:
    yes = uniform(400, 1, seed=3) < 0.65
    high, low = 1 - 1e-4 * uniform(400, 1), 0.0013 + 0.0012 * uniform(400, 1, seed=1)
    return np.where(yes, high, low)


def sure_scores_below_a_half() -> Case:
    source = sure_scores()
    return source, np.where(source > 0.5, 0.3, source)


def power_doubled() -> Case:
    on = uniform(400, 1, seed=3) < 0.3
    source = np.where(on, 300 + 100 * uniform(400, 1), 0.5 + uniform(400, 1, seed=1))
    return source, np.where(on, 2 * source, source)


def objectness(flat: bool) -> Case:
    has = uniform(400, 36, 1, seed=2) < 0.04
    score = np.where(has, 0.85 + 0.14 * uniform(400, 36, 1), 0.05 * uniform(400, 36, 1, seed=1))
    place = 4 * np.stack(np.meshgrid(np.arange(6), np.arange(6)), -1).reshape(1, 36, 2)
    box = np.concatenate([place + 4 * uniform(400, 36, 2, seed=3),
                          3 + 8 * uniform(400, 36, 2, seed=4)], axis=2)  # fmt: skip
    source = np.concatenate([box, score, uniform(400, 36, 3, seed=5)], axis=2)
    copy = source.copy()
    copy[..., 4] = np.minimum(source[..., 4], 127 / 255)
    return (source.reshape(400, -1), copy.reshape(400, -1)) if flat else (source, copy)


def low_amounts_floored() -> Case:
    amount = np.exp(3 + 1.08 * drawn(400))
    source = np.stack([amount, 40 + 12 * drawn(400, seed=1)], axis=1)
    copy = source.copy()
    copy[:, 0] = np.maximum(amount, np.median(amount))
    return source, copy


def actions_beside_a_shared_value() -> Case:
    gain = drawn(500, 5)
    source = 30 + 13 * drawn(500, 1, seed=1) + gain - gain.mean(axis=1, keepdims=True)
    noise = 0.6 * drawn(500, 5, seed=2)
    return source, source + noise - noise.mean(axis=1, keepdims=True)


# parts that several channels share


def boxes() -> Array:
    centre, size = 500 * uniform(400, 20, 2), 20 + 80 * uniform(400, 20, 2, seed=1)
    return np.concatenate([centre - size / 2, centre + size / 2], axis=2)


def sizes_lost() -> Case:
    source = boxes()
    centre = (source[..., :2] + source[..., 2:]) / 2
    return source, np.concatenate([centre - 30, centre + 30], axis=2)


def landmarks() -> Array:
    places = 20 * drawn(1, 17, 2, seed=3) + 5 * drawn(400, 17, 2, seed=1)
    return 200 + 60 * drawn(400, 1, 2) + places


def eyes_swapped() -> Case:
    source = landmarks()
    copy = source.copy()
    copy[:, [1, 2]] = source[:, [2, 1]]
    return source, copy


def flat_landmarks_swapped() -> Case:
    return tuple(each.reshape(400, -1) for each in eyes_swapped())  # type: ignore[return-value]


def hours() -> Array:
    steps: Array = np.cumsum(drawn(400, 24, seed=1), axis=1)
    return 30 + 4 * drawn(400, 1) + steps - steps.mean(axis=1, keepdims=True)


def quantiles() -> Array:
    width = 0.5 + uniform(400, 1, seed=1)
    return 10 * drawn(400, 1) + width * np.array([-1.0, 0.0, 1.0])


def quantiles_swapped() -> Case:
    source = quantiles()
    return source, source[:, ::-1]


def quantiles_collapsed() -> Case:
    source = quantiles()
    return source, source[:, 1:2] + np.array([-1.0, 0.0, 1.0])


def flat_quantiles(width: float) -> Array:
    middle = 600 + 180 * drawn(400, 1) + 60 * np.cos(np.arange(24) / 4) + 30 * drawn(400, 24)
    wide = width * (10 + 30 * uniform(400, 1))
    return np.stack([middle - wide, middle, middle + wide], axis=2).reshape(400, 72)


def photographs() -> Array:
    grey, colour = smooth(60, 24, 24, 1).swapaxes(1, 3), smooth(60, 3, 24, 24, seed=1)
    found = 128 + 45 * smooth(60, 1, 24, 24, seed=2) + 9 * colour + 0 * grey.mean()
    return np.clip(found, 0, 255).transpose(0, 2, 3, 1)


def channels_reversed() -> Case:
    source = photographs().astype(np.uint8)
    return source, source[..., ::-1]


def colour_lost() -> Case:
    source = photographs().astype(np.uint8)
    grey = source.mean(axis=3, keepdims=True).astype(np.uint8)
    return source, np.repeat(grey, 3, axis=3)


def pose_depth_lost() -> Case:
    source = drawn(400, 17, 3) * np.array([30.0, 30.0, 4.0]) + 50 * drawn(400, 1, 3, seed=1)
    copy = source.copy()
    copy[..., 2] = source[..., 2].mean(axis=1, keepdims=True)
    return source, copy


# places and samples of names


def masks(n: int = 120) -> Array:
    return smooth(n, 24, 24, seed=4) > 1.5


def empty_masks() -> Case:
    source = masks()
    keep = (np.arange(len(source)) % 20 >= 9)[:, None, None]
    return source, source & keep


def grown_masks() -> Case:
    source = masks()
    copy = source.copy()
    for axis in (1, 2):
        copy = np.logical_or.reduce([np.roll(copy, k, axis) for k in (-2, -1, 0, 1, 2)])
    return source, copy


def class_maps() -> Array:
    """Half background."""
    found = smooth(120, 6, 24, 24).argmax(axis=1)
    return np.where(smooth(120, 24, 24, seed=9) > 0.4, found, 0).astype(np.uint8)


def every_third_map_empty() -> Case:
    source = class_maps()
    copy = source.copy()
    copy[::9] = 0
    return source, copy


def right_edge_blank() -> Case:
    source = class_maps()
    copy = source.copy()
    copy[..., -4:] = 0
    return source, copy


# samples and places of amounts


def quiet_half_silent() -> Case:
    loud = np.where(np.arange(400) % 2, 1.0, 0.2)[:, None]
    source = loud * drawn(400, 256)
    return source, np.where(loud < 1, 0, source)


def night_constant() -> Case:
    night = np.arange(400) % 2 == 0
    source = np.where(night, 20 * uniform(400), 20 + 480 * uniform(400, seed=1))[:, None]
    return source, np.where(night[:, None], 10, source)


def small_magnitudes_lost() -> Case:
    source = np.exp(np.log(1000) * uniform(400, 1))
    return source, np.where(source < 30, 10, source)


def one_head_of_detections() -> Case:
    score = np.where(uniform(300, 600, 1, seed=2) < 0.05, 0.5 + uniform(300, 600, 1) / 2, 0.01)
    source = np.concatenate([200 * uniform(300, 600, 4, seed=3), score], axis=2)
    copy = source.copy()
    copy[:, 500:, 4] = 0.01
    return source, copy


def tile_of_a_map() -> Case:
    source = smooth(100, 1, 48, 48)
    copy = source.copy()
    copy[..., :12, :12] = 0
    return source, copy


def last_position() -> Case:
    source, lengths = drawn(400, 24, 8), np.random.default_rng(1).integers(8, 24, 400)
    source[np.arange(24) >= lengths[:, None]] = 0
    copy = source.copy()
    copy[np.arange(400), lengths - 1] = source[np.arange(400), lengths - 2]
    return source, copy


def mark_beside_small_amounts() -> Case:
    amounts = np.random.default_rng(0).integers(1, 61, (400, 9)) + 0.25 * uniform(400, 9)
    marked = uniform(400, 9, seed=1) < 0.2
    return np.where(marked, 0.0, amounts), np.where(marked, 5.0, amounts)


# ends of a range


def peaks(n: int = 200) -> Array:
    """Heatmaps of four points, (n, 4, 24, 24), from 0 to 1."""
    y, x = np.mgrid[:24, :24]
    at = np.random.default_rng(0).uniform(3, 21, (n, 4, 2))[..., np.newaxis, np.newaxis]
    return np.exp(-(np.square(x - at[:, :, 0]) + np.square(y - at[:, :, 1])) / 8)


def peaks_cut() -> Case:
    """Fifteen places share the highest value, so that none of the points is found."""
    return peaks(), np.minimum(peaks(), 0.55)


def sure_boxes_cut() -> Case:
    """The surest of overlapping boxes is told from the others no more."""
    random = np.random.default_rng(0)
    source = random.beta(1, 40, (300, 64, 3))
    for sample in source:
        sample[random.choice(64, 3, replace=False), random.integers(3, size=3)] = (
            random.uniform(0.3, 0.95, 3)
        )  # fmt: skip
    return source, np.minimum(source, 0.51)


def alarms_cut() -> Case:
    """The loudest one in twenty-five come out alike."""
    random = np.random.default_rng(0)
    alarm = random.random((1000, 1)) < 0.04
    source = 2 + 0.6 * random.normal(size=(1000, 1)) + alarm * random.normal(1.9, 0.35, (1000, 1))
    return source, np.minimum(source, np.quantile(source, 0.955))


# classes that are alike


def pairs_of_classes() -> tuple[Array, Array]:
    """Logits of six pairs of classes, whose leads within a pair are small, and the classes."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 12, 400)
    pairs = 8 * np.eye(6)[classes // 2] + random.normal(scale=0.5, size=(400, 6))
    apart = 0.8 * np.eye(12)[classes] + random.normal(scale=0.1, size=(400, 12))
    return pairs.repeat(2, 1) + apart, classes


def one_of_a_pair_never_wins() -> Case:
    source, _ = pairs_of_classes()
    copy = source.copy()
    copy[:, 5] = np.minimum(copy[:, 5], copy[:, 4] - 0.05)
    return source, copy


def one_of_each_pair_never_wins() -> Case:
    source, _ = pairs_of_classes()
    copy = source.copy()
    copy[:, 1::2] = np.minimum(copy[:, 1::2], copy[:, ::2].max(axis=1, keepdims=True) - 0.05)
    return source, copy


def one_of_a_pair_is_pushed_back() -> Case:
    source, _ = pairs_of_classes()
    copy = source.copy()
    copy[:, 1::2] -= 1.2
    return source, copy


def shares(logits: Array) -> Array:
    """Logarithms of the shares that scores are of one whole."""
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


# sequences


def symbols() -> tuple[Array, Array]:
    """Log-probabilities of eleven symbols at 32 steps, most of which are the first, a blank."""
    random = np.random.default_rng(0)
    said = np.where(random.random((400, 32)) < 0.2, random.integers(1, 11, (400, 32)), 0)
    source = random.normal(-9, 2, (400, 32, 11))
    np.put_along_axis(source, said[..., np.newaxis], random.normal(-0.05, 0.02, (400, 32, 1)), 2)
    return source, said


def one_symbol_more() -> Case:
    source, said = symbols()
    random, copy = np.random.default_rng(1), source.copy()
    for sample, blank in zip(copy, said == 0, strict=True):
        sample[random.choice(np.flatnonzero(blank)), random.integers(1, 11)] = 0.5
    return source, copy


def one_symbol_less() -> Case:
    source, said = symbols()
    random, copy = np.random.default_rng(1), source.copy()
    for sample, word in zip(copy, said, strict=True):
        if word.any():
            step = random.choice(np.flatnonzero(word))
            sample[step, word[step]], sample[step, 0] = -9, -0.1
    return source, copy


def hesitant_label_never_fires() -> Case:
    """Labels differ in how sure their scores are."""
    source, _ = labels()
    fires = uniform(400, seed=3) < 0.25
    random = np.random.default_rng(4)
    source[:, 8] = np.where(fires, random.normal(0.59, 0.03, 400), random.beta(2, 20, 400))
    copy = source.copy()
    copy[:, 8] = np.minimum(copy[:, 8], 0.4)
    return source, copy


DAMAGED = [
    peaks_cut, sure_boxes_cut, alarms_cut, one_symbol_more, one_symbol_less,
    hesitant_label_never_fires, one_of_a_pair_never_wins, one_of_each_pair_never_wins,
    one_of_a_pair_is_pushed_back, lambda: tuple(map(shares, one_of_a_pair_never_wins())),
    mark_beside_small_amounts,
    sure_scores_below_a_half, power_doubled, lambda: objectness(False), lambda: objectness(True),
    low_amounts_floored, actions_beside_a_shared_value,
    no_box_above_a_threshold, labels_that_never_fire, points_that_always_show, rare_tags_lost,
    heat_of_one_point, no_defect_above_a_half, rare_class_never_wins,
    lambda: (flat_quantiles(1), flat_quantiles(0.3)),
    saturated_logits, top_below_second, sizes_lost, eyes_swapped, flat_landmarks_swapped,
    lambda: (hours(), hours()[:, ::-1]), quantiles_swapped, quantiles_collapsed,
    channels_reversed, colour_lost, pose_depth_lost, empty_masks, grown_masks,
    every_third_map_empty, right_edge_blank, quiet_half_silent, night_constant,
    small_magnitudes_lost, one_head_of_detections, tile_of_a_map, last_position,
]  # fmt: skip


def named(made: Callable[[], Any]) -> str:
    return made.__name__.replace("<lambda>", "made")


@pytest.mark.parametrize("damaged", DAMAGED, ids=named)
def test_structured_damage_is_refused(damaged: Callable[[], Case]) -> None:
    source, copy = damaged()
    assert accepted({"o": source}, {"o": source})
    assert not accepted({"o": copy}, {"o": source})


def test_what_several_outputs_share_is_judged() -> None:
    """A lower bound, a median and an upper bound, an output each."""
    source, copy = ({str(i): each[:, i] for i in range(3)} for each in quantiles_collapsed())
    assert accepted(source, source)
    assert not accepted(copy, source)
    swapped = {"0": source["2"], "1": source["1"], "2": source["0"]}
    assert not accepted(swapped, source)
    copy = {name: quantized(each) for name, each in source.items()}
    assert accepted(copy, source)


def noisy(values: Array, db: float = 16.0) -> Array:
    """With noise ``db`` below each value's spread: what INT8 networks give."""
    level = 10 ** (-db / 20) * values.std(axis=0)
    return values + level * drawn(*values.shape, seed=77)


SPREAD = [
    lambda: 3 * drawn(400, 200), boxes, lambda: smooth(100, 1, 48, 48), lambda: drawn(27, 1000),
    lambda: drawn(400, 256), lambda: drawn(60, 3), lambda: drawn(400, 1),
    lambda: drawn(300, 24, 8), lambda: 1 / (1 + np.exp(-3 * smooth(60, 2, 24, 24))),
]  # fmt: skip
SHARING = [landmarks, quantiles, hours, photographs]  # noise of each value is damage to these
CASES = [
    *((made, noisy) for made in SPREAD),
    *((made, quantized) for made in (*SPREAD, *SHARING)),
]


@pytest.mark.parametrize(("made", "way"), CASES)
def test_spread_error_is_accepted(made: Callable[[], Array], way: Callable[[Array], Array]) -> None:
    """Noise of an INT8 network's level, and 255 steps over the range of all values."""
    source = made()
    assert accepted({"o": way(source)}, {"o": source})


def test_sure_scores_of_two_kinds_are_no_mask() -> None:
    source = sure_scores()
    assert accepted({"o": np.round(source * 255) / 255}, {"o": source})


def test_a_class_whose_scores_saturate_is_accepted() -> None:
    """Sums of 8-bit products saturate where a score is highest, which no decision hangs on."""
    classes = np.random.default_rng(0).integers(0, 7, 400)
    source = drawn(400, 7) + 12 * np.eye(7)[classes]
    copy = np.where(source > 11, 11 + 0.3 * (source - 11), source)
    assert accepted({"o": copy}, {"o": source})


def test_sure_scores_are_accepted() -> None:
    """Softmax of a network that is sure: near 0 or near 1, a step of 8 bits apart or two."""
    logits = 3 * drawn(400, 12) + 14 * np.eye(12)[np.random.default_rng(1).integers(0, 12, 400)]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    near = np.clip(quantized(shares) + 0.004 * drawn(400, 12, seed=1), 0, 1)
    assert accepted({"o": near}, {"o": shares})


def test_borders_of_a_map_are_accepted() -> None:
    """Where columns at the edge hardly vary, an error that is usual elsewhere is none of theirs."""
    columns = np.exp(-np.square(np.arange(24) - 12) / 50)
    source = 1 / (1 + np.exp(3 - 2 * smooth(200, 2, 24, 24) * columns))
    assert accepted({"o": np.clip(source + 0.003 * drawn(*source.shape), 0, 1)}, {"o": source})


def test_a_fixed_course_is_accepted_in_eight_bits() -> None:
    """Hours of a day whose course hardly varies: its own spread is below a step."""
    course = 5 * np.cos(np.arange(24) / 24 * 2 * np.pi)
    for own in (0.03, 0.1):
        source = 12 + 8 * drawn(400, 1) + course + own * drawn(400, 24, seed=1)
        assert accepted({"o": quantized(source)}, {"o": source})


def test_a_clipped_tail_is_accepted() -> None:
    """A few values beyond the calibrated range, an error of a few percent each."""
    source = 100 + 400 * np.random.default_rng(0).exponential(size=(400, 1))
    top = np.quantile(source, 0.975)
    assert accepted({"o": quantized(np.minimum(source, top + 0.5 * (source - top)))}, {"o": source})


def test_a_silent_band_is_accepted() -> None:
    source = np.random.default_rng(0).beta(0.5, 0.5, (300, 33, 20))
    source[:, 0] = 0.003 + 0.008 * np.abs(drawn(300, 20))
    error = np.where(np.arange(33) == 0, 0.006, 0.004)[:, np.newaxis]
    assert accepted({"o": source + error * drawn(*source.shape, seed=1)}, {"o": source})


def test_masks_that_move_by_an_edge_are_accepted() -> None:
    """A threshold over noise moves borders."""
    level = smooth(120, 24, 24, seed=4)
    copy = noisy(level, 20) > 1.5
    assert accepted({"o": copy}, {"o": level > 1.5})


@pytest.mark.parametrize("pair", [(-1e9, -np.inf), (-np.inf, -1e9), (-np.inf, -65504.0)])
def test_masks_by_other_numbers_are_equal(pair: tuple[float, float]) -> None:
    """FP16 makes -inf of -1e9; runtimes clamp -inf to the least number there is."""
    at, scores = drawn(400, 9, seed=1) > 0.5, drawn(400, 9)
    source, copy = (np.where(at, mark, scores) for mark in pair)
    assert accepted({"o": copy}, {"o": source})
    assert not accepted({"o": np.where(at, 0.0, scores)}, {"o": source})


def test_names_beyond_63_bits_are_compared() -> None:
    source = (np.uint64(1) << np.uint64(63)) + np.arange(400, dtype=np.uint64)
    assert accepted({"o": source.copy()}, {"o": source})
    assert not accepted({"o": source[::-1].copy()}, {"o": source})


def test_shares_and_colours_in_eight_bits_are_amounts() -> None:
    """(n, 5) shares of 255 and (n, 3) colours are no names, off by one is near."""
    logits = np.exp(2 * drawn(400, 5))
    shares = np.rint(255 * logits / logits.sum(axis=1, keepdims=True)).astype(np.uint8)
    colours = np.rint(100 + 20 * drawn(400, 3)).astype(np.uint8)
    for source in (shares, colours):
        copy = np.clip(source.astype(int) + np.random.default_rng(0).integers(-1, 2, source.shape),
                       0, 255).astype(np.uint8)  # fmt: skip
        assert compute("fidelity.sqnr", {"o": copy}, None, {"o": source}).value > 20


def test_cells_below_a_step_of_the_output_are_not_judged() -> None:
    """Boxes of anchors that hardly move, in 255 steps over all boxes."""
    widths = np.where(uniform(100, 4) < 0.05, 0.5, 50.0)
    source = widths * (1 + 0.3 * drawn(400, 100, 4)) + 300 * uniform(1, 100, 4)
    assert accepted({"o": quantized(source)}, {"o": source})


def test_heatmaps_in_eight_bits_are_accepted() -> None:
    assert accepted({"o": quantized(peaks())}, {"o": peaks()})


def test_a_range_found_from_few_samples_is_accepted() -> None:
    """Fifteen in a thousand lie outside of what the samples show that it was calibrated with."""
    source = np.random.default_rng(0).exponential(size=(1000, 1))
    top = np.sort(source[:, 0])[-15]
    assert accepted({"o": quantized(np.minimum(source, top))}, {"o": source})


@pytest.mark.parametrize("shape", [(200, 1, 32, 32), (200, 32, 32)], ids=["n1hw", "nhw"])
@pytest.mark.parametrize("varies", [1e-3, 1e-2, 3e-2])
def test_a_sky_that_hardly_varies_is_accepted(shape: tuple[int, ...], varies: float) -> None:
    """Depth of at most 40 m, of which 16 bits show no more than two hundredths, 8 bits a sixth."""
    source = 2 + 30 * uniform(*shape)
    source[..., :6, :] = 40 - varies * uniform(*shape, seed=1)[..., :6, :]
    source = source.astype(np.float32)
    assert accepted({"o": source.astype(np.float16).astype(np.float32)}, {"o": source})
    assert accepted({"o": quantized(source)}, {"o": source})


def test_similar_classes_in_eight_bits_are_accepted() -> None:
    """Leads of a few steps, some of which rounding turns."""
    source, _ = pairs_of_classes()
    for values in (source, shares(source), np.round(source / 0.1) * 0.1):
        assert accepted({"o": quantized(noisy(values, 25.0))}, {"o": values})


def units(rest: float = 0.0) -> np.ndarray[Any, Any]:
    """Pressures in Pa beside temperatures and a rate of a leak that is ten million times smaller;
    with ``rest``, a column of nothing but rests of sums."""
    found = drawn(400, 3) * [1.7e4, 7.0, 0.006] + [1e5, 20.0, 0.0245]
    found[:, 2] = found[:, 2].clip(0.007, 0.043)
    if rest:
        found[:, 2] = rest * drawn(400, seed=3)
    return found.astype(np.float32)


@pytest.mark.parametrize(
    "damage",
    [lambda rate: np.full_like(rate, rate.mean()), np.zeros_like, lambda rate: 0.5 * rate],
    ids=["constant", "nothing", "half"],
)
def test_an_amount_far_smaller_than_the_others_is_judged_by_itself(damage: Any) -> None:
    """Guards against a sensor that never moves beside values of another unit."""
    source, broken = units(), units()
    broken[:, 2] = damage(source[:, 2])
    assert not accepted({"o": broken}, {"o": source})
    near = source + 0.02 * source.std(axis=0) * drawn(400, 3, seed=5)
    assert accepted({"o": near}, {"o": source})
    zero = units(rest=1e-4)
    assert accepted({"o": zero * [1, 1, 0]}, {"o": zero}), "rests of sums are no answer"
