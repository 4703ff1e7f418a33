from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nearness import drawn

from edgeopt.answers.masks import filled, gap, masked, side_of, unmasked
from edgeopt.schema.errors import ModelError

Array = np.ndarray[Any, Any]
SCORES = drawn(400, 9)
AT = drawn(400, 9, seed=1) > 0.5


def test_infinities_mask() -> None:
    source = np.where(AT, -np.inf, SCORES)
    found = masked(source)
    assert found.at is not None and (found.at == AT).all()
    assert np.isfinite(found.values).all()
    assert (found.values[~AT] == SCORES[~AT]).all()


@pytest.mark.parametrize(("mark", "sign"), [(-1e9, -1.0), (1e9, 1.0), (-65504.0, -1.0)])
def test_a_number_far_off_all_others_masks(mark: float, sign: float) -> None:
    found = masked(np.where(AT, mark, SCORES))
    assert found.at is not None and (found.at == AT).all()
    assert found.sign == sign
    beyond = found.limit < SCORES.min() if sign < 0 else found.limit > SCORES.max()
    assert beyond and abs(found.limit) < abs(mark)


def test_a_number_that_was_added_masks_but_where_it_always_lies() -> None:
    """Guards against a column of other amounts that is taken for masked ones."""
    found = masked(np.where(AT, SCORES - 1e4, SCORES))
    assert found.at is not None and (found.at == AT).all()
    always = np.concatenate([SCORES, SCORES[:, :3] - 1e4], axis=1)
    assert masked(always).at is None


@pytest.mark.parametrize(
    "source",
    [
        SCORES,
        np.where(AT, -5.0, SCORES),  # not far enough
        np.where(AT, 0, 1),  # whole numbers
        np.zeros((0, 3)),
        np.where(AT, 10.0, 1000.0) + np.abs(SCORES),  # two kinds of amounts
    ],
)
def test_what_is_no_mask_is_left_alone(source: Array) -> None:
    found = masked(source)
    assert found.at is None and found.values is source


def test_both_sides_have_the_same_number_where_the_source_masks() -> None:
    source, copy = np.where(AT, -1e9, SCORES), np.where(AT, -1e9, SCORES + 0.1)
    mine, theirs = unmasked("o", copy, source)
    assert (mine[AT] == theirs[AT]).all()
    assert np.allclose(mine[~AT] - theirs[~AT], 0.1)


def test_a_mask_that_was_lost_names_output_and_sample() -> None:
    source = np.where(AT, -1e9, SCORES)
    copy = source.copy()
    row, column = np.argwhere(AT[5:])[0] + (5, 0)
    copy[row, column] = 0.0
    with pytest.raises(ModelError, match=f"'o' does not mask at sample {row} what") as caught:
        unmasked("o", copy, source)
    assert "became an ordinary one" in caught.value.hint
    copy[row, column] = -1e8
    assert unmasked("o", copy, source), "another number that is as far off masks as well"


def test_masked_values_become_the_mean_of_those_that_are_not() -> None:
    values = np.array([[1.0, 5.0], [3.0, 7.0], [9.0, 9.0]])
    at = np.array([[False, True], [False, True], [True, True]])
    assert filled(values, at, values).tolist() == [[1.0, 0.0], [3.0, 0.0], [2.0, 0.0]]


def test_a_gap_parts_two_kinds_that_each_stand_often() -> None:
    source = np.concatenate([drawn(50) - 100, drawn(50, seed=1) + 100])
    found = gap(source)
    assert found is not None and found.wide
    assert found.low[1] < found.middle < found.high[0]
    assert side_of(source) == found.middle
    assert gap(np.concatenate([drawn(50), [1000.0] * 7])) is None, "a few strays are no kind"
    assert gap(np.concatenate([drawn(50), [1000.0] * 8])) is not None
    assert gap(drawn(400)) is None and gap(np.ones(50)) is None


def test_the_least_number_is_a_kind_of_its_own_where_it_is_apart() -> None:
    padded = np.where(drawn(400, seed=1) > 1, -1.0, 1 + 10 * np.abs(drawn(400)))
    side = side_of(padded)
    assert side is not None and -1.0 < side < 1.0
    assert side_of(padded.astype(np.int64)) is None
    assert side_of(np.where(padded < 0, -np.inf, padded)) is None
