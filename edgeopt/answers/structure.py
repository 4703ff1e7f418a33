"""Errors that are gathered in one place, where noise is spread over all: what they take is lost.

What two channels share may be a hundredth of an output's energy and all that users want of it: the
size of a box between its corners, the colour of an image, the width between two quantiles. The same
holds of the samples at night, and of one tile of a map. So an error that is gathered in one of
these is held against what the source varies by there, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edgeopt.answers.outputs import Array
from edgeopt.answers.profile import FLOOR, STEPS, Profile
from edgeopt.answers.sums import Judged, Sums, joined, judged_by, pooled
from edgeopt.stats.proportions import wilson

STRAY = 0.5  # of the source's energy, 3 dB: an error that is looked at by itself
SHARED = 0.25  # the same, 6 dB, of what channels share
MOST_VALUES = 4_000_000  # of larger outputs, every so many samples are looked at
MOST_CHANNELS, FEW_CHANNELS = 256, 16
GATHERED = 0.75  # of the error, in at most half of all combinations
ENOUGH = 5  # samples for each of the values that others are told from
ODD, OTHER, LOST = 10.0, 5.0, 100.0  # times the error elsewhere, of other samples, the median one
ALONE = 50.0  # times the error of other channels, where these may tell much of one
CUTS, FEWEST = 20, 2  # parts that samples are cut into, and those on a side: a tenth
TILES = 4096  # at most
EVENTS, RARE = 5, 0.01  # samples, and the share that is no accident


class Sides(NamedTuple):
    """The source's values, centred and scaled, and the candidate's error, (n, ...) each; and of
    each value of a sample the square of a step of 8 bits, on that scale."""

    values: Array
    errors: Array
    step: Array


class Columns(NamedTuple):
    """Sides with a channel of one axis a column, (n places, d): values, errors, and errors but for
    their mean; of how many samples, n; and the steps of the sides."""

    values: Array
    errors: Array
    varying: Array
    n: int
    step: Array


def gathered(mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """Combinations of channels, samples and tiles in which an error is gathered.

    ``mine`` and ``theirs`` are (n, ...) amounts, ``source`` the profile of ``theirs``.
    """
    every = -(-theirs.size // MOST_VALUES)
    b, a = (np.asarray(each[::every], np.float64) for each in (theirs, mine))
    shape = (len(b), *source.mean.shape)
    values = (b.reshape(shape) - source.mean) / source.scale
    errors = (a - b).reshape(shape) / source.scale
    if not errors.any() or len(b) < EVENTS:
        return
    sides = Sides(values, errors, np.square(source.steps / source.scale))
    channels = source.class_axis
    plain = Sides(values * source.scale, errors * source.scale, np.square(source.steps))
    for axis in range(1, values.ndim):
        if 1 < values.shape[axis] <= MOST_CHANNELS:  # places have one unit, channels may not
            unscaled = _columns(plain, axis)
            columns = _columns(sides, axis) if axis == channels else unscaled
            yield from _combinations(columns, axis)
            yield from _alone(columns, unscaled, axis)
    yield from _samples(sides)
    for index in _amounts(b.reshape(shape), channels):
        c, e = (np.take(each, [index], channels) for each in (values, errors))
        step = np.take(sides.step, [index], channels - 1)
        yield from _samples(Sides(c, e, step), source.channel(channels, index).name)
    yield from _tiles(sides, plain, channels)


def shared(mine: Sequence[Array], theirs: Sequence[Array]) -> Iterator[Judged]:
    """The same of several outputs of one shape: the few combinations that hold an error."""
    b, a = (np.stack([np.asarray(x, np.float64) for x in each], axis=1) for each in (theirs, mine))
    every = -(-b.size // MOST_VALUES)
    b, a = b[::every], a[::every]
    spread = b.std(axis=0)
    width = np.ptp(b, axis=(0, *range(2, b.ndim)), keepdims=True)[0]
    if not width.all():
        return
    scale = np.maximum(spread, width * FLOOR)
    values, errors = (b - b.mean(axis=0)) / scale, (a - b) / scale
    sides = Sides(values, errors, np.square(width / STEPS / scale))
    yield from _combinations(_columns(sides, 1), 1)


def _combinations(columns: Columns, axis: int) -> Iterator[Judged]:
    """The few combinations of an axis' channels that hold most of the error, if they do.

    They are the first principal components of the error but for its mean, which has a direction
    however harmless it is.
    """
    values, errors, varying, n, step = columns
    shares, ways = np.linalg.eigh(varying.T @ varying)
    count = _few(np.maximum(shares[::-1], 0), ODD)
    if count:
        c, e = (each @ ways[:, ::-1][:, :count] for each in (values, errors))
        if _loses(c, e, step, SHARED):
            name = f"what channels of axis {axis} share"
            yield judged_by(name, c.reshape(n, -1), e.reshape(n, -1))


def _alone(columns: Columns, unscaled: Columns, axis: int) -> Iterator[Judged]:
    """The few channels of an axis that hold most of the error, if they do, held against what they
    vary by beside what the other channels tell of them. They must do so unscaled as well: a channel
    that hardly varies has a large error on its own scale."""
    values, errors, varying, n, step = columns
    shares, plain = (np.square(each).sum(axis=0) for each in (varying, unscaled.varying))
    order = shares.argsort()[::-1]
    count = min(_few(each[order], ALONE) for each in (shares, plain))
    rest = values[:, order[count:]]
    if not count or len(rest) < ENOUGH * rest.shape[1]:
        return
    c, e = values[:, order[:count]], errors[:, order[:count]]
    alone = c - rest @ np.linalg.lstsq(rest, c, rcond=None)[0]
    if _loses(alone, e, step):
        which, tell = ("channel", "tells") if count == 1 else ("channels", "tell")
        numbers = ", ".join(map(str, sorted(order[:count])))
        name = f"what {which} {numbers} of axis {axis} alone {tell}"
        yield judged_by(name, alone.reshape(n, -1), e.reshape(n, -1))


def _columns(sides: Sides, axis: int) -> Columns:
    values, errors, varying = (
        np.moveaxis(each, axis, -1).reshape(-1, each.shape[axis])
        for each in (sides.values, sides.errors, sides.errors - sides.errors.mean(axis=0))
    )
    return Columns(values, errors, varying, len(sides.values), sides.step)


def _few(shares: Array, odd: float) -> int:
    """How many of (d,) shares of an error, the largest first, hold most of it, where these are
    at most half of them, and so many times as large as the others in the mean; else 0."""
    if not shares.sum():
        return 0
    held = np.cumsum(shares) / shares.sum()
    counts = np.arange(1, len(shares) // 2 + 1)
    held = held[counts - 1]
    few = held / counts > odd * (1 - held) / (len(shares) - counts)
    enough = np.flatnonzero(few & (held >= GATHERED))
    return int(counts[enough[0]]) if len(enough) else 0


def _samples(sides: Sides, name: str = "") -> Iterator[Judged]:
    """The quieter or the lower samples, or the louder or the higher, that alone are wrong."""
    flat = [each.reshape(len(each), -1) for each in sides[:2]]
    noise = np.square(flat[1]).mean(axis=1)
    orders = {"quiet": np.square(flat[0]).mean(axis=1), "low": flat[0].mean(axis=1)}
    other = {"quiet": "loud", "low": "high"}
    for first, by in orders.items():
        order = by.argsort(kind="stable")
        for cut in range(FEWEST, CUTS - FEWEST + 1):
            at = cut * len(order) // CUTS
            for word, part, rest in (
                (first, order[:at], order[at:]), (other[first], order[at:], order[:at])
            ):  # fmt: skip
                if min(len(part), len(rest)) < EVENTS or not _odd(noise[part], noise[rest]):
                    continue
                c, e = (each[part] for each in flat)
                c = c - c.mean(axis=0)
                if _loses(c, e, sides.step):
                    which = f"the {len(part)} samples of {word} values"
                    yield judged_by(joined(name, which), c, e)


def _amounts(values: Array, axis: int) -> list[int]:
    """The channels along an axis, where there are few, of amounts from 0 to more than 1. Scores
    are none: those of a class are high where it is, and nearly the same."""
    if not 1 < values.shape[axis] <= FEW_CHANNELS:
        return []
    others = tuple(each for each in range(values.ndim) if each != axis)
    held = (values.min(axis=others) >= 0) & (values.max(axis=others) > 1)
    return [int(index) for index in np.flatnonzero(held)]


def _odd(mine: Array, others: Array) -> bool:
    """Whether errors are larger than others, in the mean and in most samples."""
    return all(of(mine) > OTHER * of(others) for of in (np.mean, np.median))


def _tiles(sides: Sides, plain: Sides, channels: int) -> Iterator[Judged]:
    """Parts of a sample, of neighbours along its axes, that alone are wrong: always, or now and
    then in one place or another. An error is held against others of its channel as it is, not
    scaled (``plain``): what hardly varies is no place where an error is gathered."""
    looked_at = (sides.values, sides.errors, plain.errors)
    c2, e2, raw = (pooled(np.square(each), TILES, channels) for each in looked_at)
    shape, others = c2.shape[1:], tuple(each for each in range(c2.ndim) if each != channels)
    usual = np.median(raw.mean(axis=0, keepdims=True), axis=others, keepdims=True)
    odd = (raw.mean(axis=0) > ODD * usual).ravel()
    far = (raw > LOST * np.median(raw, axis=others, keepdims=True)).reshape(len(raw), -1)
    c2, e2 = (each.reshape(len(each), -1) for each in (c2, e2))
    energy, noise = c2.sum(axis=0), e2.sum(axis=0)
    step = pooled(sides.step[np.newaxis], TILES, channels).ravel()
    always = odd & (noise > STRAY * energy) & (noise > len(c2) * step)
    always &= c2.shape[1] < sides.values[0].size  # else no tiles
    moves = (c2 > energy / len(c2) / ODD).sum(axis=0) >= EVENTS
    for index in np.flatnonzero(always & moves)[:1]:
        place = ", ".join(map(str, np.unravel_index(index, shape)))
        yield _summed(f"tile [{place}] of [{', '.join(map(str, shape))}]", c2[:, index],
                      e2[:, index])  # fmt: skip
    lost = far & (e2 > STRAY * np.maximum(c2, c2.mean(axis=0)))
    lost &= (e2 > step) & (lost.mean(axis=1, keepdims=True) < 0.5)  # else the sample is lost
    which = lost.any(axis=1)
    if which.sum() > 1 and wilson(int(lost.sum()), lost.size)[0] > RARE:
        yield _summed(f"the parts of {which.sum()} samples that are furthest off",
                      np.where(lost, c2, 0)[which].sum(axis=1),
                      np.where(lost, e2, 0)[which].sum(axis=1))  # fmt: skip


def _loses(values: Array, errors: Array, step: Array, most: float = STRAY) -> bool:
    """Whether an error takes what the values vary by, and is more than 8 bits explain."""
    noise = float(np.square(errors).mean())
    return noise > most * float(np.square(values).mean()) and noise > float(step.mean())


def _summed(name: str, energy: Array, noise: Array) -> Judged:
    """What is known by its energies alone: the error counts as one that shares nothing with it."""
    rows = Sums(energy, noise, energy + noise, energy)
    return Judged(name, rows.total(), lambda: rows)
