"""What an output decides: along its classes, at a threshold, or nothing."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.answers.decisions import decides
from edgeopt.answers.profile import profile
from edgeopt.evaluation import compute, default_metrics
from edgeopt.schema.errors import DataError

RNG = np.random.default_rng(0)


def agreement(mine: np.ndarray, theirs: np.ndarray) -> float:
    return compute("fidelity.agreement", {"o": mine}, None, {"o": theirs}).value


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((9, 5), 1), ((9, 40, 5), 2), ((9, 5, 40), 2), ((9, 4, 8, 8), 1), ((9, 8, 8, 4), 3)],
)
def test_the_axis_of_the_classes(shape: tuple[int, ...], axis: int) -> None:
    theirs = RNG.normal(size=shape)
    assert profile(theirs).class_axis == axis
    other = theirs.copy()
    np.moveaxis(other, axis, 0)[0] += 100  # one class wins everywhere
    same = theirs.argmax(axis=axis) == other.argmax(axis=axis)
    assert agreement(other, theirs) == pytest.approx(same.mean())


def test_single_scores_decide_at_a_half_and_single_values_by_their_sign() -> None:
    scores = RNG.random((200, 1))
    flipped = np.where(np.arange(200)[:, None] < 50, 1 - scores, scores)
    assert agreement(flipped, scores) == pytest.approx(0.75)
    logits = RNG.normal(size=200)
    assert agreement(-logits, logits) == 0.0
    masks = RNG.random((20, 1, 6, 6))
    assert agreement(1 - masks, masks) == 0.0


def test_what_decides_nothing_has_no_agreement() -> None:
    prices = 9_000 + 100 * RNG.random((50, 1))
    assert not decides(prices, profile(prices))
    assert "fidelity.agreement" not in default_metrics({"price": prices})
    with pytest.raises(DataError, match="'price' makes no decisions"):
        compute("fidelity.agreement", {"price": prices}, None, {"price": prices})


def test_whole_numbers_agree_where_they_are_equal() -> None:
    classes = np.arange(40) % 4
    assert agreement(np.where(np.arange(40) < 10, classes + 1, classes), classes) == 0.75


def test_scores_that_are_masked_alike_are_compared_by_the_rest() -> None:
    theirs = RNG.normal(size=(64, 6))
    theirs[:, 2] = theirs[3, 4] = -np.inf
    mine = theirs + 0.01 * RNG.normal(size=theirs.shape)
    assert agreement(mine, theirs) > 0.95
    assert 35 < compute("fidelity.sqnr", {"o": mine}, None, {"o": theirs}).value < 45


def test_rows_of_another_kind_do_not_decide_with_the_scores() -> None:
    theirs = RNG.random((80, 10, 12))
    theirs[:, :4] *= 640
    mine = theirs.copy()
    mine[:, :4] = mine[::-1, :4]  # coordinates of other samples: no class changes
    scores = profile(theirs)
    assert [group.index for group in scores.groups if group.mask is None] == [0, 1, 2, 3]
    assert agreement(mine, theirs) == 1.0
    mine[:, 4:] = theirs[:, 4:][:, ::-1]
    assert agreement(mine, theirs) < 0.5
