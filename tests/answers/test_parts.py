"""What of an output is judged by itself, by name: its groups, and what a sum would hide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nearness import drawn, quantized

from edgeopt.answers.parts import judged
from edgeopt.answers.profile import profile
from edgeopt.answers.sums import Judged

Array = np.ndarray[Any, Any]
SOURCE = drawn(400, 10)


def parts(mine: Array, theirs: Array) -> dict[str, Judged]:
    return {each.name: each for each in judged(mine, theirs, profile(theirs))}


def test_the_whole_comes_first_with_its_sums() -> None:
    first = next(judged(SOURCE * 1.1, SOURCE, profile(SOURCE)))
    assert first.name == ""
    assert first.sums.noise / first.sums.energy == pytest.approx(0.01, rel=0.05)
    assert np.allclose(tuple(first.rows().total()), tuple(first.sums))
    assert first.rows().noise.shape == (400,)


def test_spread_noise_is_hidden_by_nothing() -> None:
    noisy = SOURCE + 0.1 * drawn(400, 10, seed=1)
    assert set(parts(noisy, SOURCE)) == set(parts(quantized(SOURCE), SOURCE)) == {""}


def test_a_group_of_another_size_is_judged_whatever_its_error() -> None:
    source = SOURCE * np.where(np.arange(10) == 4, 100, 1)
    copy = source + 0.1 * source.std(axis=0) * drawn(400, 10, seed=1)
    found = parts(copy, source)["channel 4 of axis 1"]
    assert found.sums.noise / found.sums.energy == pytest.approx(0.01, rel=0.2)


def test_a_channel_whose_error_is_more_than_half_its_energy_is_judged() -> None:
    copy = SOURCE + 0.01 * drawn(400, 10, seed=1)
    copy[:, 3] = SOURCE[::-1, 3]
    found = parts(copy, SOURCE)["channel 3 of axis 1"]
    assert found.sums.noise > found.sums.energy
    assert np.allclose(tuple(found.rows().total()), tuple(found.sums))


def test_a_cell_where_two_axes_cross_is_judged() -> None:
    source = drawn(400, 8, 10)
    copy = source + 1e-3 * drawn(400, 8, 10, seed=1)
    copy[:, 2, 3] = 0
    assert "value [2, 3]" in parts(copy, source)


def test_samples_that_are_answered_with_something_else_are_judged() -> None:
    copy = SOURCE + 1e-3 * drawn(400, 10, seed=1)
    copy[:20] = drawn(20, 10, seed=2)
    (name,) = [each for each in parts(copy, SOURCE) if "furthest off" in each]
    assert 15 <= int(name.split()[1]) <= 20
    copy = SOURCE + 1e-3 * drawn(400, 10, seed=1)
    copy[:4] = drawn(4, 10, seed=2)
    assert not [each for each in parts(copy, SOURCE) if "furthest off" in each], "an accident"


def test_decisions_that_fall_otherwise_are_counted() -> None:
    source = 3 * drawn(400, 200)
    order = source.argsort(axis=1)
    copy, rows = source.copy(), np.arange(400)
    copy[rows, order[:, -1]] = source[rows, order[:, -2]] - 0.01
    (found,) = [e for e in parts(copy, source).values() if e.name.startswith("decisions by")][:1]
    assert found.sums.noise > 0.5 * found.sums.energy


def test_the_side_of_a_gap_that_values_lie_on_is_judged() -> None:
    padded, amounts = drawn(400, 9, seed=1) > 1, 1 + 10 * np.abs(drawn(400, 9))
    source, copy = np.where(padded, -1.0, amounts), np.where(padded, 1.0, amounts)
    (name,) = [each for each in parts(copy, source) if each.startswith("the side of")][:1]
    assert parts(copy, source)[name].sums.noise == padded.sum()


def test_a_channel_of_names_beside_amounts_is_judged_as_names() -> None:
    classes = np.random.default_rng(0).integers(0, 80, (400, 20, 1))
    source = np.concatenate([640 * np.random.default_rng(1).random((400, 20, 5)), classes], axis=2)
    copy = source.copy()
    copy[:, :, 5] += 1
    found = parts(copy, source)["channel 5 of axis 2"]
    assert found.sums.noise == found.sums.energy == 8000


def test_numbers_that_name_something_are_right_or_wrong() -> None:
    source = np.random.default_rng(0).integers(0, 5, 400)
    found = parts(np.where(np.arange(400) < 40, source + 1, source), source)
    assert found[""].sums.noise == 40 and found[""].sums.energy == 400


def test_samples_of_a_kind_must_be_as_near_as_all_are() -> None:
    """A fifth of the samples is off by half of what samples vary by: 10 dB over all, 6 of its own.
    The same error in all samples is no kind."""
    source = drawn(400, 1)
    rain = np.arange(400)[:, np.newaxis] % 5 == 0
    near = source + 0.01 * drawn(400, 1, seed=1)
    name = "the 80 samples that are far off beside the others"
    found = parts(near + 0.5 * rain, source)[name].sums
    assert found.noise / found.energy == pytest.approx(
        0.25 / np.square(source[rain]).mean(), rel=0.1
    )
    assert name not in parts(near + 0.2 * rain, source)
    assert not any("beside the others" in each for each in parts(near + 0.3, source))
