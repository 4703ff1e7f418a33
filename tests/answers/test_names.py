from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nearness import drawn

from edgeopt.answers import names

Array = np.ndarray[Any, Any]


def ints(count: int, *shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, count, shape)


def smooth(*shape: int) -> Array:
    found = drawn(*shape)
    for axis in (-1, -2):
        found = sum(np.roll(found, k, axis) for k in range(-3, 4))
    return found


def lost(mine: Array, theirs: Array) -> list[str]:
    """The names of all parts but the whole."""
    return [each.name for each in names.judged("", mine, theirs)][1:]


@pytest.mark.parametrize(
    ("source", "are"),
    [
        (drawn(40, 3) > 0, True),
        (ints(10, 400), True),
        (ints(5000, 400), True),  # an index, of 64 bits
        (ints(180, 400).astype(np.uint8), True),
        (ints(180, 400, 3).astype(np.uint8), False),  # colours
        (ints(10, 400).astype(np.float32), True),
        (ints(10, 400) + 0.5, False),
        (np.ones((40, 3), np.float32), False),
        (np.rint(128 + 12 * smooth(20, 1, 24, 24)).astype(np.uint8), False),  # an image
        (ints(200, 20, 24, 24), True),  # a map of many classes
        (drawn(40, 3), False),
    ],
)
def test_names_are_told_from_amounts(source: Array, are: bool) -> None:
    assert names.names_something(source) is are


def test_the_channel_of_names_beside_amounts_is_found() -> None:
    rows = np.concatenate([drawn(40, 6, 4), ints(80, 40, 6, 1)], axis=2)
    assert names.channels(rows) == [(2, 4)]
    assert names.channels(drawn(40, 6)) == []


def test_all_names_together_count_those_that_differ() -> None:
    source = ints(5, 40, 3)
    copy = source.copy()
    copy[0] += 1
    whole = next(names.judged("o", copy, source))
    assert whole.name == "o"
    assert whole.sums.energy == 120 and whole.sums.noise == 3 and whole.sums.dot == 117
    assert whole.rows().noise.tolist() == [3.0, *[0.0] * 39]


def test_half_a_number_off_is_another_name() -> None:
    source = ints(5, 40).astype(np.float32)
    near, far = (next(names.judged("", source + off, source)) for off in (0.4, 0.6))
    assert near.sums.noise == 0 and far.sums.noise == 40


def test_a_rare_name_that_is_lost_is_judged_by_itself() -> None:
    source = np.where(np.arange(400) % 20 == 0, 3, ints(3, 400))
    assert lost(np.where(source == 3, 0, source), source) == ["value 3"]
    some = np.where((source == 3) & (np.arange(400) % 40 == 0), 0, source)
    assert lost(some, source) == [], "half of it is there"
    few = np.where(np.arange(400) < 4, 3, ints(3, 400))
    assert lost(np.where(few == 3, 0, few), few) == [], "of four samples nothing is known"


def test_a_name_that_one_channel_lost_is_named_with_it() -> None:
    source = ints(4, 60, 5)
    copy = source.copy()
    copy[:, 2] = np.where(source[:, 2] == 1, 0, source[:, 2])
    assert lost(copy, source) == ["channel 2 of axis 1, value 1"]


def test_samples_that_lost_all_but_the_background_are_told() -> None:
    source = np.zeros((60, 16, 16), np.int64)
    source[:, 4:8, 4:8] = 1
    copy = source.copy()
    copy[:20] = 0
    told = lost(copy, source)
    assert any("what is not 0, the 20 samples that are furthest off" in each for each in told)


def test_a_place_that_lost_its_names_is_told() -> None:
    source = ints(6, 60, 16, 16)
    copy = source.copy()
    copy[:, :8, :8] = 0
    assert any("tile [0, 0] of [8, 8]" in each for each in lost(copy, source))


def test_names_that_are_all_kept_lose_nothing() -> None:
    source = ints(6, 60, 16, 16)
    assert lost(source.copy(), source) == []


def test_names_of_more_than_63_bits_are_told_apart() -> None:
    source = (np.uint64(1) << np.uint64(63)) + np.arange(40, dtype=np.uint64)
    assert next(names.judged("", source[::-1].copy(), source)).sums.noise == 40
    assert next(names.judged("", source.copy(), source)).sums.noise == 0
