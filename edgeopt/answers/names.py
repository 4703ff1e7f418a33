"""Numbers that name something, a class or a place, and are right or wrong, not near or far.

Whole numbers are names where they are few, and amounts where neighbours in a map are alike, as
pixels are. A name that most of its samples lost is judged by itself: it may be rare.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeopt.answers.outputs import Array, kept
from edgeopt.answers.sums import Judged, Sums, joined, pooled
from edgeopt.stats.proportions import wilson

WIDE = 4  # bytes of an index: as many names as it likes
FEW, MANY = 32, 200  # distinct numbers: names in any case, and amounts if they are no index
SHORT = 8  # values of a sample that may be an answer each; beyond, they are a vector of amounts
ALIKE = 0.7  # of the distance of any two: how far neighbours in a map of amounts are
SIDE = 8  # values along the sides of a map
LOOKED_AT = 1 << 20  # values
MOST_COUNTS = 1 << 26
MOST_CHANNELS, SMALL = 64, 1 << 19  # and values, of outputs whose channels are all looked at
EVENTS = 5  # samples that have a name, for it to be judged by itself
STRAY = 0.5  # of the names that are not the most frequent one
HELD = 8  # names of a sample that are not the most frequent one, for it to be lost
RARE = 0.05  # share of samples that are lost by accident
PLACES = 64  # at most


@kept
def names_something(theirs: Array) -> bool:
    """Whether numbers, (n, ...), are names: bools, and whole numbers as the module says."""
    return _are_names(theirs, beside=False)


@kept
def channels(theirs: Array) -> list[tuple[int, int]]:
    """Axis and index of the slices of a float output that hold names beside other values."""
    slices = []
    for axis in range(1, theirs.ndim):
        if theirs.shape[axis] < 2:
            continue
        others = tuple(each for each in range(theirs.ndim) if each != axis)
        few = theirs[:EVENTS]
        for index in np.flatnonzero((few == np.rint(few)).all(axis=others)):
            if _are_names(np.take(theirs, index, axis=axis), beside=True):
                slices.append((axis, int(index)))
    return slices


def judged(name: str, mine: Array, theirs: Array) -> Iterator[Judged]:
    """All names together, and each that is lost: energy counts names, noise those that differ.

    A name is lost where more than half of the samples that have it, by the lower end of Wilson's
    interval, answer most of it otherwise; in the whole output, or in one of its channels.
    """
    b = np.asarray(theirs)
    wrong = _differ(np.asarray(mine).reshape(b.shape), b)
    size = np.full(len(b), float(b[:1].size))
    yield counted(name, size, wrong.reshape(len(b), -1).sum(axis=1))
    yield from lost(name, wrong, b)
    if b[:1].size > SHORT:
        yield from _unusual(name, wrong, b)


def lost(name: str, wrong: Array, theirs: Array, most: float = 0.5) -> Iterator[Judged]:
    """Each name of (n, ...) that is lost, where it is ``wrong``; in the whole or in a channel.

    ``most`` is the share of a sample's, and of the samples that have it, that may be wrong.
    """
    yield from _lost(name, wrong, theirs, most)
    for axis in range(1, theirs.ndim):
        side = _are_maps(theirs) and axis >= theirs.ndim - 2
        few = theirs.shape[axis] <= MOST_CHANNELS or theirs.size <= SMALL
        if few and not side and theirs.shape[axis] > 1:
            for index in range(theirs.shape[axis]):
                part = joined(name, f"channel {index} of axis {axis}")
                bad, held = (np.take(each, index, axis=axis) for each in (wrong, theirs))
                yield from _lost(part, bad, held, most)


def _lost(name: str, wrong: Array, theirs: Array, most: float) -> Iterator[Judged]:
    b = theirs.reshape(len(theirs), -1)
    values, index = _indexed(b)
    width = len(values)
    if len(b) * width > MOST_COUNTS:
        return
    place = index + width * np.arange(len(b), dtype=np.int64)[:, np.newaxis]
    shape = (len(b), width)
    held = np.bincount(place.ravel(), minlength=len(b) * width).reshape(shape)
    bad = np.bincount(place[wrong.reshape(b.shape)], minlength=len(b) * width).reshape(shape)
    having, losing = (held > 0).sum(axis=0), (bad > most * held).sum(axis=0)
    for which in np.flatnonzero((having >= EVENTS) & (losing > most * having)):
        if wilson(int(losing[which]), int(having[which]))[0] > most:
            has = held[:, which] > 0  # samples count, however much of it they have
            share = bad[:, which] / np.maximum(held[:, which], 1)
            part = joined(name, f"value {values[which]:g}")
            yield counted(part, has.astype(np.float64), share)


def _unusual(name: str, wrong: Array, theirs: Array) -> Iterator[Judged]:
    """All but the most frequent name, which may be a background: in samples, and in places.

    A sample has lost them where more of it is wrong than half of what it has of them; a place,
    where more than half of the samples that have some there have lost it.
    """
    values, index = _indexed(theirs)
    most = int(np.bincount(index.ravel()).argmax())
    part = joined(name, f"what is not {values[most]:g}")
    has, bad = (each.reshape(theirs.shape).astype(np.float64) for each in (index != most, wrong))
    energy, noise = (each.reshape(len(each), -1).sum(axis=1) for each in (has, bad))
    if noise.sum() > STRAY * energy.sum() > 0:
        yield counted(part, energy, noise)
    having = energy >= HELD
    gone = having & (noise > STRAY * energy)
    if gone.sum() >= EVENTS and wilson(int(gone.sum()), int(having.sum()))[0] > RARE:
        which = f"the {gone.sum()} samples that are furthest off"
        yield counted(joined(part, which), energy[gone], noise[gone])
    has, bad = (pooled(each, PLACES) for each in (has, bad))
    held, off = has > 0, (bad > STRAY * has) & (has > 0)
    having, losing = held.sum(axis=0), off.sum(axis=0)
    for place in np.argwhere((having >= EVENTS) & (2 * losing > having)):
        at = (slice(None), *place)
        if wilson(int(losing[at[1:]]), int(having[at[1:]]))[0] > 0.5:
            grid = f"tile {[*map(int, place)]} of {[*has.shape[1:]]}"
            yield counted(joined(part, grid), has[at], bad[at])
            return


def _are_names(theirs: Array, *, beside: bool) -> bool:
    """``beside``: whether other values stand beside them, that are no whole numbers."""
    if theirs.dtype.kind == "b":
        return True
    every = -(-len(theirs) // max(1, LOOKED_AT // max(1, theirs[:1].size)))
    part = theirs[::every]
    floats = theirs.dtype.kind == "f"
    if floats and not (_whole(part[:EVENTS]) and _whole(theirs)):
        return False
    distinct = len(np.unique(part))
    if floats and distinct < 2:
        return False
    if distinct <= FEW:
        return True
    if _are_maps(part):
        return not _alike(part)
    if not floats and theirs.dtype.itemsize >= WIDE:
        return True
    most = SHORT if floats else 1  # several in 8 bits are shares or colours
    return distinct <= MANY and (beside or part[:1].size <= most)


def _are_maps(values: Array) -> bool:
    return values.ndim > 2 and min(values.shape[-2:]) >= SIDE


def counted(name: str, energy: Array, noise: Array) -> Judged:
    """Names, or decisions: how many each sample has, (n,), and how many of them are wrong."""
    noise = noise.astype(np.float64)
    rows = Sums(energy, noise, energy, energy - noise)
    return Judged(name, rows.total(), lambda: rows)


def _differ(mine: Array, theirs: Array) -> Array:
    if mine.dtype.kind in "biu" and theirs.dtype.kind in "biu":
        return np.asarray(mine != theirs)
    return np.asarray(np.abs(np.asarray(mine, np.float64) - theirs) >= 0.5)


def _whole(values: Array) -> bool:
    return bool(np.isfinite(values).all() and (values == np.rint(values)).all())


def _indexed(values: Array) -> tuple[Array, Array]:
    """Numbers, all that occur among them, and each value's place among those."""
    low, high = int(values.min()), int(values.max())
    if high - low >= 1 << 12 or high >= 1 << 62:
        distinct, index = np.unique(values, return_inverse=True)
        return distinct, index.reshape(values.shape)
    return np.arange(low, high + 1), np.asarray(values, np.int64) - low


def _alike(maps: Array) -> bool:
    """Whether neighbours along the last two axes, where they differ, differ less than any two."""
    values = np.asarray(maps, np.float64)
    near = [each[each != 0] for each in (np.diff(values, axis=a) for a in (-1, -2))]
    apart = np.abs(np.concatenate([each.ravel() for each in near]))
    if not len(apart):
        return False
    mixed = np.random.default_rng(0).permutation(values.ravel())
    any_two = np.abs(mixed[1:] - mixed[:-1])
    any_two = any_two[any_two > 0]
    return bool(len(any_two) and apart.mean() < ALIKE * any_two.mean())
