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

import numpy as np

from edgeopt.answers.outputs import Array
from edgeopt.answers.profile import Profile

LEAD = 0.5  # of the spread of scores over samples
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
    axis = class_axis(source)
    apart = [group for group in source.groups if group.mask is None]
    if a.ndim == 2 and _are_several(b):
        yield "", ((a > 0.5) == (b > 0.5)).mean(axis=1)
        return
    if a.ndim == 2 and a.shape[1] > 1:
        yield "", _tops(a, b, 1)
    if a.ndim > 2 or a.shape[1] == 1 or apart:
        kept = np.flatnonzero(~source.axes[axis].odd) if apart else np.arange(a.shape[axis])
        main, other = (np.take(each, kept, axis) for each in (a, b))
        found = _tops(main, other, axis) if len(kept) > 1 else _sides(main, other)
        if found is None and a.shape[axis] > 1:
            found = _tops(a, b, axis)
        if found is not None:
            yield "", found
    for group in apart:
        one, two = group.of(a), group.of(b)
        left = axis - (group.axis < axis)
        found = _sides(one, two) if group.axis == axis else _tops(one, two, left)
        if found is not None:
            yield group.name, found


def clear(mine: Array, theirs: Array, source: Profile) -> tuple[Array, Array] | None:
    """How many decisions of a sample are clear, and how many of those are others, (n,) each.

    A decision is clear where the highest score leads the next, or a score among several labels
    lies off one half, by more than half of the scores' spread over samples. Decisions that are
    not may fall otherwise by an error that is no harm. Of outputs that choose among nothing: None.
    """
    if source.whole or not source.axes:
        return None
    a, b = (np.asarray(each).reshape(len(each), *source.mean.shape) for each in (mine, theirs))
    axis = class_axis(source)
    kept = np.flatnonzero(~source.axes[axis].odd)
    if len(kept) < 2:
        return None
    least = LEAD * float(np.sqrt(np.square(source.axes[axis].spread[kept]).mean()))
    a, b = (np.take(each, kept, axis) for each in (a, b))
    if b.ndim == 2 and _are_several(b):
        sure, other = np.abs(b - 0.5) > least, (a > 0.5) != (b > 0.5)
    else:
        tops = np.partition(b, -2, axis=axis)
        lead = np.take(tops, -1, axis) - np.take(tops, -2, axis)
        sure, other = lead > least, a.argmax(axis=axis) != b.argmax(axis=axis)
    count, bad = (each.reshape(len(each), -1).sum(axis=1) for each in (sure, sure & other))
    return count, bad


def class_axis(source: Profile) -> int:
    """Which axis of (n, ...) answers the scores of classes lie along."""
    shape = source.mean.shape
    if len(shape) == 1 or (source.axes and source.axes[1].odd.any()):
        return 1
    if len(shape) == 2:
        return 2
    if len(shape) == 3 and (shape[0] == shape[1]) != (shape[1] == shape[2]):
        return 3 if shape[0] == shape[1] else 1  # squares are images
    return 1 if shape[0] <= shape[-1] else len(shape)


def _are_several(scores: Array) -> bool:
    """Whether (n, labels) scores from 0 to 1 are each a decision: no share of one whole."""
    if scores.shape[1] < 2 or scores.min() < 0 or scores.max() > 1:
        return False
    return bool((np.abs(scores.sum(axis=1) - 1) > WHOLE).mean() > 0.5)


def _sides(mine: Array, theirs: Array) -> Array | None:
    low, high = float(theirs.min()), float(theirs.max())
    if low >= 0 and high <= 1:
        threshold = 0.5
    elif low < 0 < high:
        threshold = 0.0
    else:
        return None
    same = (mine > threshold) == (theirs > threshold)
    found: Array = same.reshape(len(theirs), -1).mean(axis=1)
    return found


def _tops(mine: Array, theirs: Array, axis: int) -> Array:
    same = mine.argmax(axis=axis) == theirs.argmax(axis=axis)
    found: Array = same.reshape(len(theirs), -1).mean(axis=1)
    return found
