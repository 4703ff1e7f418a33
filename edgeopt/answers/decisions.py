"""What an output decides: the class with the highest score, or on which side of a threshold.

The axis of the classes is the one after the samples of (n, classes). Of images, (n, c, h, w) or
(n, h, w, c), it is the one that is no side of a square, else the shorter of the two; of three axes
the last, unless values along the first differ in kind (``profile``), as rows of detections do.
Scores from 0 to 1 that are no shares of 1, (n, labels), decide each by itself at one half. A single
score decides at one half, too, and at zero where it has both signs. Numbers that name classes
decide by what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edgeopt.answers.masks import common
from edgeopt.answers.outputs import Array
from edgeopt.answers.profile import Profile
from edgeopt.answers.sums import joined

LEAD = 0.5  # of the spread of scores over samples
SURE = 4.0  # times that lead: no noise turns these
FEW_STEPS = 4.0  # of 8 bits: a lead that honest rounding may turn now and then, never always
CERTAIN = 0.9  # of the way from one half to 0 or 1: a score is sure there, too
UNCLEAR = -1
WHOLE = 0.05  # off 1, where scores of classes are shares of one whole


def decides(theirs: Array, source: Profile) -> bool:
    """Whether an output of the source decides anything."""
    return any(True for _ in agreeing(theirs, theirs, source))


def agreeing(mine: Array, theirs: Array, source: Profile) -> Iterator[tuple[str, Array]]:
    """By group, the share of decisions of each sample that are the same, (n,) float64.

    Of (n, classes) the highest of all scores counts too, whatever groups they fall into.
    """
    if source.whole:
        same = (np.asarray(mine) == np.asarray(theirs)).reshape(len(theirs), -1)
        yield "", same.mean(axis=1)
        return
    a, b = (np.asarray(each).reshape(len(each), *source.mean.shape) for each in (mine, theirs))
    axis = source.class_axis
    apart = [group for group in source.groups if group.mask is None]
    if a.ndim == 2 and _are_several(b):
        yield "", ((a > 0.5) == (b > 0.5)).mean(axis=1)
        return
    if a.ndim == 2 and a.shape[1] > 1:
        yield "", _tops(a, b, 1)
    if a.ndim > 2 or a.shape[1] == 1 or apart:
        kept = np.flatnonzero(~source.axes[axis].odd) if apart else np.arange(a.shape[axis])
        main, other = (np.take(each, kept, axis) for each in (a, b))
        same = _tops(main, other, axis) if len(kept) > 1 else _sides(main, other)
        if same is None and a.shape[axis] > 1:
            same = _tops(a, b, axis)
        if same is not None:
            yield "", same
    for group in apart:
        one, two = group.of(a), group.of(b)
        left = axis - (group.axis < axis)
        same = _sides(one, two) if group.axis == axis else _tops(one, two, left)
        if same is not None:
            yield group.name, same


class Choices(NamedTuple):
    """What is chosen, in words, and what a source chooses, (n, ...): ``UNCLEAR`` where a small
    error may choose otherwise; what a candidate chooses there; where the source is sure; and
    whether a choice is one of two sides."""

    name: str
    chosen: Array
    instead: Array
    sure: Array
    of_sides: bool = False

    @property
    def other(self) -> Array:
        """Where the candidate chooses otherwise, though the source is clear."""
        return np.asarray(self.instead != self.chosen)

    def counts(self) -> tuple[Array, Array]:
        """Of each sample, (n,), how many choices are clear, and how many fall otherwise."""
        made, wrong = (
            each.reshape(len(each), -1).sum(axis=1) for each in (self.chosen != UNCLEAR, self.other)
        )
        return made, wrong

    @property
    def surely(self) -> Array:
        """Where it does though the source is sure."""
        return np.asarray(self.other & self.sure)


def choices(mine: Array, theirs: Array, source: Profile) -> Iterator[Choices]:
    """The decisions of an output that are clear: the highest score, and sides of a threshold.

    A highest score is clear where it leads the next, and a value where it lies off the threshold,
    by more than half of what values vary by. The threshold is one half for scores from 0 to 1, and
    zero for values of both signs.
    """
    if source.whole or not source.axes:
        return
    a, b = (np.asarray(each).reshape(len(each), *source.mean.shape) for each in (mine, theirs))
    axis, hidden = source.class_axis, source.hidden
    odd = source.axes[axis].odd
    main = np.flatnonzero(~odd)
    alone = [np.array([index]) for index in np.flatnonzero(odd)]
    for kept in [main, *alone]:
        one, two = (np.take(each, kept, axis) for each in (a, b))
        mask = None if hidden is None else np.take(hidden, kept, axis)
        name = "" if kept is main else source.channel(axis, int(kept[0])).name
        if len(kept) > 1 and not (two.ndim == 2 and _are_several(two)):
            yield _highest(one, two, axis, _clear_lead(two, axis, source.step, mask), mask)
        limit = _threshold(two)
        if limit is not None:
            yield _sided(name, one, two, limit, axis, mask)
    if source.low < 0 or source.high > 1:
        yield from _scores_beside(a, b, hidden)


def _clear_lead(theirs: Array, axis: int, step: float, hidden: Array | None) -> float:
    """Leads are held against what values vary by beside what they share, and a step of 8 bits."""
    apart = theirs - common(theirs, axis, hidden)
    return max(step, LEAD * float(np.sqrt(_variance(apart, hidden).mean())))


def _variance(values: Array, hidden: Array | None) -> Array:
    """The variance of each value over the samples that do not mask it, (1, ...)."""
    if hidden is None:
        found: Array = values.var(axis=0, keepdims=True)
        return found
    off = np.where(hidden, 0.0, values - common(values, 0, hidden))
    count = np.maximum((~hidden).sum(axis=0, keepdims=True), 1)
    shown: Array = np.square(off).sum(axis=0, keepdims=True) / count
    return shown


def _highest(mine: Array, theirs: Array, axis: int, least: float, hidden: Array | None) -> Choices:
    """Which value is highest, where it leads the next by more than ``least``; masked ones are
    left out, and the only one that is not masked is no choice."""
    if hidden is not None:
        mine, theirs = (np.where(hidden, -np.inf, each) for each in (mine, theirs))
    best = np.partition(theirs, -2, axis=axis)
    second = np.take(best, -2, axis)
    with np.errstate(invalid="ignore"):
        lead = np.where(np.isfinite(second), np.take(best, -1, axis) - second, 0.0)
    tops = theirs.argmax(axis=axis)
    clear = lead > least
    chosen, instead = (np.where(clear, x, UNCLEAR) for x in (tops, mine.argmax(axis=axis)))
    return Choices("the highest value", chosen, instead, lead > SURE * least)


def tops(mine: Array, theirs: Array, source: Profile) -> Choices | None:
    """Which value is highest, wherever it leads by a few steps of 8 bits; None of a single one.

    Leads may be small beside what values vary by, as those within groups of similar classes are.
    """
    if source.whole or not source.axes or source.mean.shape[source.class_axis - 1] < 2:
        return None
    a, b = (np.asarray(each).reshape(len(each), *source.mean.shape) for each in (mine, theirs))
    axis = source.class_axis
    kept = np.flatnonzero(~source.axes[axis].odd)
    if len(kept) < 2:
        return None
    one, two = (np.take(each, kept, axis) for each in (a, b))
    hidden = None if source.hidden is None else np.take(source.hidden, kept, axis)
    return _highest(one, two, axis, FEW_STEPS * source.step, hidden)


def _sided(
    name: str, mine: Array, theirs: Array, limit: float, axis: int, hidden: Array | None
) -> Choices:
    """Distances are held against what the values of a channel vary by, between half of what all
    do and that."""
    variance = _variance(theirs, hidden)
    usual = float(np.sqrt(variance.mean()))
    others = tuple(each for each in range(theirs.ndim) if each != axis)
    own = np.sqrt(variance.mean(axis=others, keepdims=True))
    least = LEAD * np.clip(own, usual / 2, usual)
    off = np.abs(theirs - limit)
    if hidden is not None:
        off = np.where(hidden, 0.0, off)
    chosen, instead = (np.where(off > least, x > limit, UNCLEAR) for x in (theirs, mine))
    within = max(limit, 1 - limit) * CERTAIN if theirs.min() >= 0 and theirs.max() <= 1 else np.inf
    sure = off > np.minimum(SURE * least, within)
    return Choices(joined(name, f"the side of {limit:g}"), chosen, instead, sure, True)


def _scores_beside(mine: Array, theirs: Array, hidden: Array | None) -> Iterator[Choices]:
    """The channels that hold scores from 0 to 1 beside other values, along the first axis that
    has some."""
    for axis in range(theirs.ndim - 1, 0, -1):
        others = tuple(each for each in range(theirs.ndim) if each != axis)
        low, high = theirs.min(axis=others), theirs.max(axis=others)
        scores = np.flatnonzero((low >= 0) & (high <= 1) & (low < 0.5) & (high > 0.5))
        if len(scores):
            one, two = (np.take(each, scores, axis) for each in (mine, theirs))
            mask = None if hidden is None else np.take(hidden, scores, axis)
            yield _sided("scores from 0 to 1", one, two, 0.5, axis, mask)
            return


def _are_several(scores: Array) -> bool:
    """Whether (n, labels) scores from 0 to 1 are each a decision: no share of one whole."""
    if scores.shape[1] < 2 or scores.min() < 0 or scores.max() > 1:
        return False
    return bool((np.abs(scores.sum(axis=1) - 1) > WHOLE).mean() > 0.5)


def _sides(mine: Array, theirs: Array) -> Array | None:
    threshold = _threshold(theirs)
    if threshold is None:
        return None
    same = (mine > threshold) == (theirs > threshold)
    share: Array = same.reshape(len(theirs), -1).mean(axis=1)
    return share


def _threshold(theirs: Array) -> float | None:
    low, high = float(theirs.min()), float(theirs.max())
    if low >= 0 and high <= 1:
        return 0.5
    return 0.0 if low < 0 < high else None


def _tops(mine: Array, theirs: Array, axis: int) -> Array:
    same = mine.argmax(axis=axis) == theirs.argmax(axis=axis)
    share: Array = same.reshape(len(theirs), -1).mean(axis=1)
    return share
