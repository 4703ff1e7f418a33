"""Other ways to look at an output, each for what its plain values hide.

Where all values of a sample rise and fall together, decisions lie in their differences. Where few
samples are far larger than the rest, the rest is all that most users see, and its order of
magnitude counts. Where values come in two kinds far apart, each kind has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edgeopt.answers.masks import common, filled, side_of
from edgeopt.answers.outputs import Array
from edgeopt.answers.profile import Profile, profiled

APART = 3.0  # steps that differences may be off by: values are, by one or two
LARGER = 4.0  # how much larger a variance is, that hides another
MIDDLE = (0.1, 0.9)
DECADES = 30.0  # between the ends of the middle
DECADE = 10.0  # the same, of amounts that are all positive
SIZES = "orders of magnitude above zero"
FEWEST = 40  # samples that quantiles are taken of
MOST_VALUES = 20_000_000


class View(NamedTuple):
    """Both sides of an output, (n, ...), looked at otherwise; the source's profile of that; and how
    many steps of 8 bits an error of one cell may be, that 8 bits explain."""

    name: str
    mine: Array
    theirs: Array
    source: Profile
    steps: float = 1.0


def views(mine: Array, theirs: Array, source: Profile) -> Iterator[View]:
    """The views that show something else than the plain values of the source."""
    if not source.axes or theirs.size > MOST_VALUES:
        return
    shape = (len(theirs), *source.mean.shape)
    a, b = (np.asarray(each, np.float64).reshape(shape) for each in (mine, theirs))
    yield from _differences(a, b, source)
    if source.low >= 0 and source.high <= 1:
        return  # scores near others of their kind decide nothing
    if len(b) >= FEWEST:
        yield from _sizes(a, b, source)
    far = side_of(theirs)
    if far is not None:
        for name, at in (("below", b > far), ("above", b < far)):
            one, two = filled(a, at, b), filled(b, at, b)
            if two.std(axis=0).any():
                yield View(f"the values {name} {far:.3g}", one, two, profiled(two))


def _differences(a: Array, b: Array, source: Profile) -> Iterator[View]:
    """Along each axis and over all, where what values share is most of what they vary by."""
    shape = b.shape
    for axes in dict.fromkeys([*((axis,) for axis in range(1, b.ndim)), tuple(range(1, b.ndim))]):
        if max(shape[axis] for axis in axes) == 1:
            continue
        shared = common(b, axes, source.hidden)
        other, apart = (each - common(each, axes, source.hidden) for each in (a, b))
        if source.hidden is not None:
            other, apart = (filled(each, source.hidden, apart) for each in (other, apart))
        if _variance(shared) > LARGER * _variance(apart) > 0:
            along = f" along axis {axes[0]}" if len(axes) < b.ndim - 1 else ""
            name = f"the differences between its values{along}"
            yield View(name, other, apart, profiled(apart, source.step), APART)


def _sizes(a: Array, b: Array, source: Profile) -> Iterator[View]:
    """The middle of samples, and orders of magnitude, where a few samples are far larger."""
    low, high = np.quantile(b, MIDDLE, axis=0)
    inner = np.clip(b, low, high)
    skewed = 0 < LARGER * _variance(inner) < _variance(b)
    if skewed:
        yield View("the middle 80% of samples", np.clip(a, low, high), inner, profiled(inner))
    if skewed or (low.min() > 0 and float(np.median(high / low)) > DECADES):
        one, two = (np.arcsinh((each - np.median(b, axis=0)) / source.step) for each in (a, b))
        yield View("orders of magnitude", one, two, profiled(two))
    if low.min() > 0 and source.low >= 0 and float(np.median(high / low)) > DECADE:
        one, two = (np.arcsinh(each / source.steps) for each in (a, b))
        yield View(SIZES, one, two, profiled(two))


def _variance(values: Array) -> float:
    """The mean over an output's values of their variance over samples."""
    return float(values.var(axis=0).mean())
