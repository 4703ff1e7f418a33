"""What an output of the source is like over samples: means, spreads, and groups of values.

A group of its own is a slice along one of the axes after the samples whose spread differs more than
tenfold from the median of the slices. What is left is one group. Where a sample has few values,
each cell is looked at like a slice, though it makes no group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from edgeopt.answers.masks import masked
from edgeopt.answers.names import names_something
from edgeopt.answers.outputs import Array, blocks, kept

APART = 10.0  # how much a spread differs from the median of slices to make a group
FADES = 5.0  # times what the next row or column of a map may vary by, for it to fade out there
FLOOR = 1e-3  # of the output's range: no value counts as if it varied by less
MOVES = 0.05  # share of samples in which a slice must move, to be judged by itself
NOTICED = 0.05  # of a slice's spread: what counts as a move
RESOLUTION = 1e-6  # of the output's largest value: below, sums in float32 vary themselves
TINY = 1e-300  # of a spread
AWAY = 0.1  # of a slice's largest value: how far all of them keep off zero, to be no rest of a sum
FEW_SAMPLES = 256  # that medians are taken of
FAINT = 0.05  # of scores from 0 to 1: below, a score decides nothing beside larger ones
EVENTS = 5  # samples in which a slice moves, for its error to be looked at
STEADY = 1e-2  # of the output's range: what counts as the spread of a value that has none
FLAT = 0.1  # of the largest value: what counts as the spread of an output that has none
STEPS = 255  # of 8 bits over a range
FAINTEST = 2 / STEPS  # of the range: as little as the values of a map count as varying by
CELLS = 0  # in place of an axis: each value of a sample by itself
MOST_CELLS = 1024
SIDE, LONGEST = 16, 4  # of (n, h, w) for it to be a map: its shorter side, and times the other


@dataclass(frozen=True)
class Slices:
    """The slices along one axis, (d,) each: rms spread over samples, the width of its range,
    whether it moves often, or at least sometimes, and whether it makes a group of its own."""

    spread: Array
    width: Array
    moves: Array
    events: Array
    odd: Array


@dataclass(frozen=True)
class Group:
    """Values that are judged together. ``name`` is empty for the only or the largest group."""

    name: str
    axis: int
    index: int
    mask: Array | None  # of a sample's values, of the largest group

    def of(self, values: Array) -> Array:
        """The group's values out of (b, ...), the first axis kept."""
        if self.mask is None and self.axis == CELLS:
            cell: Array = values.reshape(len(values), -1)[:, self.index]
            return cell
        if self.mask is None:
            slice_: Array = np.take(values, self.index, axis=self.axis)
            return slice_
        if self.mask.all():
            return values
        return values.reshape(len(values), -1)[:, self.mask.ravel()]


@dataclass(frozen=True)
class Profile:
    """The source's answers of one output, (n, ...), in figures."""

    mean: Array
    scale: Array
    low: float
    high: float
    axes: dict[int, Slices]  # and of cells
    whole: bool = False  # numbers that name something, and are right or wrong
    least: float = 0.0  # what no step of 8 bits is less than
    hidden: Array | None = None  # where samples, (n, ...), are masked: no value is there

    @cached_property
    def groups(self) -> list[Group]:
        """The largest group first, then the slices that stand apart from it."""
        mask = np.ones(self.mean.shape, bool)
        apart = []
        for axis, slices in self.axes.items():
            for index in np.flatnonzero(slices.odd):
                place: list[slice | int] = [slice(None)] * self.mean.ndim
                place[axis - 1] = int(index)
                mask[tuple(place)] = False
                apart.append(self.channel(axis, int(index)))
        return [*([Group("", 0, 0, mask)] if mask.any() else []), *apart]

    def along(self, values: Array, axis: int) -> Array:
        """Sums of (b, ...) values over all but one axis, (d,)."""
        shaped, _, others = sliced(values.reshape(len(values), *self.mean.shape), axis)
        sums: Array = shaped.sum(axis=(0, *others))
        return sums

    @cached_property
    def class_axis(self) -> int:
        """Which axis of (n, ...) answers the scores of classes lie along, as ``decisions`` says."""
        shape = self.mean.shape
        if len(shape) == 1 or (self.axes and self.axes[1].odd.any()):
            return 1
        if len(shape) == 2:
            return 2
        if len(shape) == 3 and (shape[0] == shape[1]) != (shape[1] == shape[2]):
            return 3 if shape[0] == shape[1] else 1  # squares are images
        return 1 if shape[0] <= shape[-1] else len(shape)

    @cached_property
    def least_seen(self) -> dict[int, Array]:
        """By axis of places of a map, and of cells, the step below which no 8 bits show what each
        slice varies by, (d,): of all values, or of their own level where that is less."""
        shape = self.mean.shape
        places = set(self.axes) - {self.class_axis} if len(shape) > 2 else set()
        if _is_plain_map(shape):
            places = set(self.axes)
        size, shown = np.abs(self.mean)[np.newaxis], {}
        for axis in places:
            level = self.along(size, axis) * len(self.axes[axis].spread) / self.mean.size
            shown[axis] = np.minimum(self.high - self.low, level) / STEPS
        return shown

    @property
    def step(self) -> float:
        """One step of 8 bits over the range of all values."""
        return (self.high - self.low) / STEPS

    @cached_property
    def steps(self) -> Array:
        """Of each value of a sample, one step of 8 bits over the range of its group."""
        widths = np.full(self.mean.shape, self.high - self.low)
        for axis in set(self.axes) - {CELLS}:
            slices = self.axes[axis]
            shape = [-1 if each == axis - 1 else 1 for each in range(self.mean.ndim)]
            width = np.maximum(slices.width, STEPS * self.least_seen.get(axis, 0.0))
            widths = np.minimum(widths, np.where(slices.odd, width, np.inf).reshape(shape))
        return np.maximum(widths / STEPS, self.least)

    def channel(self, axis: int, index: int) -> Group:
        """One slice, or one cell, as a group."""
        if axis != CELLS:
            return Group(f"channel {index} of axis {axis}", axis, index, None)
        place = ", ".join(str(each) for each in np.unravel_index(index, self.mean.shape))
        return Group(f"value [{place}]", axis, index, None)

    def products(self, mine: Array, theirs: Array) -> Sequence[Array]:
        """s^2, (s - c)^2, c^2 and s c of each value, centred and scaled."""
        c, s = (
            (np.asarray(x, np.float64).reshape(len(x), *self.mean.shape) - self.mean) / self.scale
            for x in (mine, theirs)
        )
        return s * s, np.square(s - c), c * c, s * c


def sliced(values: Array, axis: int) -> tuple[Array, int, tuple[int, ...]]:
    """(b, ...) values, the axis that their slices or cells lie along, and the other axes."""
    if axis == CELLS:
        return values.reshape(len(values), -1), 1, ()
    return values, axis, tuple(each for each in range(1, values.ndim) if each != axis)


@kept
def profile(theirs: Array) -> Profile:
    """The profile of (n, ...) answers but for what they mask; kept for as long as the array lives,
    as many ask for it. Names have none: they are right or wrong."""
    at, values, *_ = masked(theirs)
    if names_something(values):
        flat = np.zeros(_shaped(values).shape[1:])
        return Profile(flat, np.ones_like(flat), *_extremes(values), {}, whole=True)
    found = profiled(values)
    return found if at is None else replace(found, hidden=_shaped(at))


def profiled(theirs: Array, least: float = 0.0) -> Profile:
    """The profile of (n, ...) amounts. Outputs of one number a sample, (n,), count as (n, 1).

    Where the output as a whole does not vary, a tenth of its largest value stands for its spread.
    What does not vary beside what does, counts as if it varied by a hundredth of the range.
    Scores count as if they varied by a step of 8 bits at least, values of maps by two.
    No value counts as if it varied by less than ``least``.
    """
    shaped = _shaped(theirs)
    low, high = _extremes(shaped)
    mean, variance = _moments(shaped)
    largest = max(abs(low), abs(high))
    if high - low <= RESOLUTION * largest:
        scale = np.full_like(mean, largest * FLAT or 1.0)
        return Profile(mean - scale * bool(largest), scale, low, high, {})
    spread = np.sqrt(variance)
    share = FAINTEST if _sides(mean.shape) else 1 / STEPS if low >= 0 and high <= 1 else FLOOR
    floor = np.where(spread > RESOLUTION * largest, share, STEADY) * (high - low)
    few = shaped[:: -(-len(shaped) // FEW_SAMPLES)]
    median = np.median(np.asarray(few, np.float64), axis=0)
    cells = [CELLS] if shaped.ndim > 2 and median.size <= MOST_CELLS else []
    axes = {a: _slices(shaped, variance, median, a) for a in (*range(1, shaped.ndim), *cells)}
    return Profile(mean, np.maximum(spread, np.maximum(floor, least)), low, high, axes, least=least)


def spreads(values: Array, axes: Iterable[int]) -> dict[int, Array]:
    """By axis, the root mean square over a slice's values of their spread over samples, (d,)."""
    variance = _moments(_shaped(values))[1]
    return {axis: np.sqrt(_by_slice(variance, axis)) for axis in axes}


def _shaped(values: Array) -> Array:
    """Outputs of one number a sample, (n,), as (n, 1)."""
    return values.reshape(len(values), -1) if values.ndim < 3 else values


def _by_slice(of_values: Array, axis: int) -> Array:
    """The mean over each slice along an axis of (n, ...) answers, (d,), of one of a sample's."""
    shaped, _, others = sliced(of_values[np.newaxis], axis)
    means: Array = shaped.mean(axis=others)[0]
    return means


def _moments(values: Array) -> tuple[Array, Array]:
    """Mean and variance of each value over samples, in float64, in two passes."""
    total = np.zeros(values.shape[1:])
    for block in blocks(values):
        total += np.asarray(values[block], np.float64).sum(axis=0)
    mean, squares = total / len(values), np.zeros(values.shape[1:])
    for block in blocks(values):
        squares += np.square(np.asarray(values[block], np.float64) - mean).sum(axis=0)
    return mean, squares / len(values)


def _extremes(values: Array) -> tuple[float, float]:
    ends = [(float(values[b].min()), float(values[b].max())) for b in blocks(values)]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _slices(values: Array, variance: Array, median: Array, axis: int) -> Slices:
    spread = np.sqrt(_by_slice(variance, axis))
    events, often, width = _moving(values, spread, median, axis)
    moves = events & often
    usual = float(np.median(spread[moves])) if moves.any() else 0.0
    odd = moves & ((spread > APART * usual) | (spread * APART < usual))
    if axis in _sides(median.shape):
        odd &= ~_fading(spread, odd) & ~_fading(1 / np.maximum(spread, TINY), odd)
    alone = axis == CELLS or not moves.any() or len(spread) < 2
    return Slices(spread, width, moves, events, np.zeros_like(moves) if alone else odd)


def _is_plain_map(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and min(shape) >= SIDE and max(shape) <= LONGEST * min(shape)


def _sides(shape: tuple[int, ...]) -> list[int]:
    """The axes of (n, ...) answers that are sides of a map: (h, w), (c, h, w) or (h, w, c)."""
    places = {2: [(0, 1)], 3: [(1, 2), (0, 1)]}.get(len(shape), [])
    maps = (at for at in places if _is_plain_map(tuple(shape[each] for each in at)))
    return [each + 1 for each in next(maps, ())]


def _fading(spread: Array, odd: Array) -> Array:
    """Which odd slices, (d,), lie below the next by no more than a factor of five, and so on up to
    one that is not odd: what a map shows less and less of towards its border."""
    found = np.zeros_like(odd)
    for _ in range(len(spread)):
        before = found.copy()
        for one, other in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
            reached = ~odd[other] | found[other]
            near = (spread[one] < spread[other]) & (spread[other] <= FADES * spread[one])
            found[one] |= odd[one] & reached & near
        if (found == before).all():
            break
    return found


def _moving(values: Array, spread: Array, median: Array, axis: int) -> tuple[Array, Array, Array]:
    """Which slices move in a few samples, and which in many of them, (d,) bool each; their widths.

    A sample moves where a value lies off its median by more than a little of the slice's spread.
    What sums in float32 vary by is no move, unless all values of a slice keep well off zero, where
    sums of larger terms would not leave them. Neither is a score of a few hundredths beside others
    of ten times that, or one that varies by less than a step of 8 bits: it decides nothing.
    """
    count = np.zeros(len(spread))
    low, high = np.full(len(spread), np.inf), np.full(len(spread), -np.inf)
    for block in blocks(values):
        part = np.asarray(values[block], np.float64)
        off, _, others = sliced(np.abs(part - median), axis)
        count += (off.max(axis=others) > NOTICED * spread).sum(axis=0)
        shaped, _, others = sliced(part, axis)
        low = np.minimum(low, shaped.min(axis=(0, *others)))
        high = np.maximum(high, shaped.max(axis=(0, *others)))
    own, nearest = np.maximum(np.abs(low), np.abs(high)), np.minimum(np.abs(low), np.abs(high))
    level = (low * high > 0) & (nearest > AWAY * own)
    real = spread > RESOLUTION * np.where(level, own, own.max())
    scores = (low >= 0) & (high <= 1)
    most = float(high[scores].max(initial=0.0))
    faint = scores & (((high < FAINT) & (10 * high < most)) | (STEPS * spread < most))
    return real & ~faint & (count >= EVENTS), count >= MOVES * len(values), high - low
