"""Values that stand for "not allowed": infinities, or numbers far off all others.

Scores are masked by -inf, by a number such as -1e9, or by adding one to them. What a mask hides is
no value: a mean, a spread or an error would consist of it alone. So masked values are left out of
every sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgeopt.answers.outputs import Array, kept
from edgeopt.schema.errors import ModelError

FAR = 3.0  # ranges of the wider of two kinds of values: the gap between them
LARGE, ADDED = 10.0, 100.0  # times the largest other value: a number, and numbers, that mask
LEAST, WIDER = 100.0, 2.0  # of a mask; times the others' range, for numbers that were added to
CLEAR = 0.01  # of the range of all others: how far off a number is that marks something
FEWEST = 8  # values
OFTEN = 0.005  # share of values that are of a kind
LOOKED_AT = 1 << 20  # values, to find where a gap may be


class Masked(NamedTuple):
    """Where a source masks, and its values with the mean over samples in place of masked ones."""

    at: Array | None
    values: Array
    limit: float  # what a masked value of a candidate stays beyond, away from the others
    sign: float  # of the side that is masked


class Gap(NamedTuple):
    """Two kinds of values with nothing between: the range of each, the lower one first."""

    low: tuple[float, float]
    high: tuple[float, float]

    @property
    def middle(self) -> float:
        """Halfway between the two."""
        return (self.low[1] + self.high[0]) / 2

    @property
    def wide(self) -> bool:
        """Whether the kinds are further apart than either is wide."""
        widths = [most - least for least, most in self]
        return self.high[0] - self.low[1] > FAR * max(widths)


@kept
def masked(theirs: Array) -> Masked:
    """What a source masks of an output, (n, ...); nothing where its values are whole numbers."""
    nothing = Masked(None, theirs, 0.0, 0.0)
    if theirs.dtype.kind != "f" or not theirs.size:
        return nothing
    at = np.isinf(theirs)
    if at.any():
        return Masked(at, filled(theirs, at, theirs), float("inf"), 0.0)
    between = gap(theirs)
    if between is None or not between.wide:
        return nothing
    ends = [max(map(abs, each)) for each in between]
    below = ends[0] > ends[1]
    far, near = (between.low, between.high) if below else (between.high, between.low)
    nearest, widths = min(map(abs, far)), [high - low for low, high in (far, near)]
    if near[0] == near[1] or nearest <= (LARGE if far[0] == far[1] else ADDED) * min(ends):
        return nothing
    if nearest < LEAST or widths[0] > WIDER * widths[1]:  # scores near 1, or amounts that differ
        return nothing
    at = theirs < between.middle if below else theirs > between.middle
    if far[0] != far[1]:  # numbers added to values: what lies there always is values of its own
        at = at & ~at.all(axis=0)
        if not at.any():
            return nothing
    width = near[1] - near[0]
    limit, sign = (near[0] - width, -1.0) if below else (near[1] + width, 1.0)
    return Masked(at, filled(theirs, at, theirs), limit, sign)


@kept
def side_of(theirs: Array) -> float | None:
    """The number that parts the two kinds of a float output's values, if it has a gap."""
    if theirs.dtype.kind != "f" or not np.isfinite(theirs).all():
        return None
    between = gap(theirs)
    return None if between is None else between.middle


@kept
def gap(theirs: Array) -> Gap | None:
    """The widest gap in finite values, (n, ...), between two kinds that each stand often.

    It is wider than either kind, or it parts one number, the least or the largest of all, clearly
    from the others.
    """
    flat = theirs.ravel()
    few = np.unique(flat[:: -(-flat.size // LOOKED_AT)])
    if len(few) < 2:
        return None
    widest = int(np.argmax(np.diff(few)))
    for lower in dict.fromkeys((widest, 0, len(few) - 2)):
        middle = (float(few[lower]) + float(few[lower + 1])) / 2
        below = flat < middle
        share = float(below.mean())
        rare = min(share, 1 - share)
        if rare * flat.size < FEWEST:
            continue
        low, high = (_range(flat[each]) for each in (below, ~below))
        between = Gap(low, high)
        lesser = low if share < 0.5 else high
        if rare < OFTEN and (lesser[0] != lesser[1] or not between.wide):
            continue
        others = max(low[1] - low[0], high[1] - high[0])
        single = low[0] == low[1] or high[0] == high[1]
        if others and (between.wide or (single and high[0] - low[1] > CLEAR * others)):
            return between
    return None


def unmasked(name: str, mine: Array, theirs: Array) -> tuple[Array, Array]:
    """Both sides with the same number wherever the source masks.

    Raises ModelError, naming output and sample, where the candidate does not mask what the source
    does. Infinities are equal on both sides already.
    """
    mask = masked(theirs)
    if mask.at is None:
        return mine, theirs
    values = np.asarray(mine)
    lost = mask.at & (values > mask.limit if mask.sign < 0 else values < mask.limit)
    if mask.sign and lost.any():
        sample = int(lost.reshape(len(mine), -1).any(axis=1).argmax())
        raise ModelError(
            f"output '{name}' does not mask at sample {sample} what the source masks there",
            hint="a number that stands for 'not allowed' became an ordinary one",
        )
    return filled(mine, mask.at, mask.values), mask.values


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def common(values: Array, axes: int | tuple[int, ...], hidden: Array | None) -> Array:
    """The mean of (n, ...) values along some axes, which stay with size 1, but for hidden ones."""
    if hidden is None:
        plain: Array = values.mean(axis=axes, keepdims=True)
        return plain
    total = np.where(hidden, 0.0, values).sum(axis=axes, keepdims=True)
    count = (~hidden).sum(axis=axes, keepdims=True)
    mean: Array = np.divide(total, count, out=np.zeros(total.shape), where=count > 0)
    return mean


def filled(values: Array, at: Array, source: Array) -> Array:
    """Masked values replaced by the source's mean over the samples that are not masked there."""
    mean = common(np.asarray(source, np.float64), 0, at)
    values_there: Array = np.where(at, mean, np.asarray(values, np.float64))
    return values_there
