"""What an output of the source is like over samples: means, spreads, and groups of values.

A group of its own is a slice along the axis after the samples, or along the last one, whose spread
differs more than tenfold from the median of the slices. What is left is one group.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgeopt.metrics.outputs import Array, blocks

APART = 10.0  # how much a spread differs from the median of slices to make a group
FLOOR = 1e-3  # of the output's range: no value counts as if it varied by less
MOVES = 0.05  # share of samples in which a slice must move, to be judged by itself
NOTICED = 0.05  # of a slice's spread: what counts as a move
RESOLUTION = 1e-6  # of the output's largest value: below, sums in float32 vary themselves
FEW_SAMPLES = 256  # that medians are taken of
SCORE_STEP = 1 / 255  # of scores from 0 to 1: the finest that 8 bits tell


@dataclass(frozen=True)
class Slices:
    """The slices along one axis, (d,) each: rms spread over samples, and whether it counts."""

    spread: Array
    moves: Array
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
        if self.mask is None:
            found: Array = np.take(values, self.index, axis=self.axis)
            return found
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
    axes: dict[int, Slices]

    @cached_property
    def groups(self) -> list[Group]:
        """The largest group first, then the slices that stand apart from it."""
        mask = np.ones(self.mean.shape, bool)
        apart = []
        for axis, told in self.axes.items():
            for index in np.flatnonzero(told.odd):
                place: list[slice | int] = [slice(None)] * self.mean.ndim
                place[axis - 1] = int(index)
                mask[tuple(place)] = False
                apart.append(channel(axis, int(index)))
        return [*([Group("", 0, 0, mask)] if mask.any() else []), *apart]

    def along(self, values: Array, axis: int) -> Array:
        """Sums of (b, ...) values over all but one axis, (d,)."""
        shaped = values.reshape(len(values), *self.mean.shape)
        found: Array = shaped.sum(axis=tuple(a for a in range(shaped.ndim) if a != axis))
        return found

    def products(self, mine: Array, theirs: Array) -> Sequence[Array]:
        """s^2, (s - c)^2, c^2 and s c of each value, centred and scaled."""
        c, s = (
            (np.asarray(x, np.float64).reshape(len(x), *self.mean.shape) - self.mean) / self.scale
            for x in (mine, theirs)
        )
        return s * s, np.square(s - c), c * c, s * c


_KEPT: OrderedDict[int, tuple[weakref.ref[Array], Profile]] = OrderedDict()
MOST_KEPT = 32


def channel(axis: int, index: int) -> Group:
    """One slice as a group."""
    return Group(f"channel {index} of axis {axis}", axis, index, None)


def profile(theirs: Array) -> Profile:
    """The profile of (n, ...) answers; kept for as long as the array lives, as many ask for it."""
    held = _KEPT.get(id(theirs))
    if held is not None and held[0]() is theirs:
        return held[1]
    found = _profiled(theirs)
    _KEPT[id(theirs)] = (weakref.ref(theirs), found)
    while len(_KEPT) > MOST_KEPT:
        _KEPT.popitem(last=False)
    return found


def _profiled(theirs: Array) -> Profile:
    """The profile of (n, ...) answers. Outputs of one number a sample, (n,), count as (n, 1).

    Where the output as a whole does not vary, nothing is centred and values count as they are.
    """
    shaped = theirs.reshape(len(theirs), -1) if theirs.ndim < 3 else theirs
    mean, variance = _moments(shaped)
    low, high = _extremes(shaped)
    constant = high - low <= RESOLUTION * max(abs(low), abs(high))
    if constant:
        flat = np.zeros_like(mean)
        return Profile(flat, np.ones_like(mean), low, high, {})
    scale = np.maximum(np.sqrt(variance), FLOOR * (high - low))
    axes = {axis: _slices(shaped, variance, axis) for axis in _axes(shaped)}
    return Profile(mean, scale, low, high, axes)


def spreads(values: Array, axis: int) -> Array:
    """Root mean square over a slice's values of their spread over samples, (d,)."""
    shaped = values.reshape(len(values), -1) if values.ndim < 3 else values
    return np.sqrt(_by_slice(_moments(shaped)[1], axis))


def _axes(values: Array) -> tuple[int, ...]:
    return (1,) if values.ndim == 2 else (1, values.ndim - 1)


def _by_slice(of_values: Array, axis: int) -> Array:
    """The mean over each slice along an axis of (n, ...) answers, (d,), of one of a sample's."""
    others = tuple(each for each in range(of_values.ndim) if each != axis - 1)
    found: Array = of_values.mean(axis=others)
    return found


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


def _slices(values: Array, variance: Array, axis: int) -> Slices:
    spread = np.sqrt(_by_slice(variance, axis))
    moves = _moving(values, spread, axis)
    median = float(np.median(spread[moves])) if moves.any() else 0.0
    odd = moves & ((spread > APART * median) | (spread * APART < median))
    return Slices(spread, moves, odd if moves.any() and len(spread) > 1 else np.zeros_like(moves))


def _moving(values: Array, spread: Array, axis: int) -> Array:
    """Which slices move in enough samples to be judged by themselves, (d,) bool.

    A sample moves where a value lies off its median by more than a little of the slice's spread.
    What float32 itself varies by is no move, and neither is a score that 8 bits cannot tell from
    none, beside scores that they can.
    """
    others = tuple(each for each in range(1, values.ndim) if each != axis)
    few = values[:: -(-len(values) // FEW_SAMPLES)]
    median = np.median(np.asarray(few, np.float64), axis=0)
    count = np.zeros(len(spread))
    low, high = np.full(len(spread), np.inf), np.full(len(spread), -np.inf)
    for block in blocks(values):
        part = np.asarray(values[block], np.float64)
        count += (np.abs(part - median).max(axis=others) > NOTICED * spread).sum(axis=0)
        low = np.minimum(low, part.min(axis=(0, *others)))
        high = np.maximum(high, part.max(axis=(0, *others)))
    real = spread > RESOLUTION * max(np.abs(low).max(), np.abs(high).max())
    scores = (low >= 0) & (high <= 1)
    faint = scores & (high < SCORE_STEP) if (scores & (high >= 0.5)).any() else False
    found: Array = real & ~np.asarray(faint) & (count >= MOVES * len(values))
    return found
