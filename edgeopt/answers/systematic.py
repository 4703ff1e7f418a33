"""Errors that follow from the answer itself, where those of rounding follow from nothing.

An amount that comes out a tenth too small, or ten too large, is wrong in every sample alike, and
nothing downstream averages that away. INT8 leaves hardly any such error. So the systematic part of
an error, the best linear function of the source's answer, counts ten times. This is of amounts
alone: scores of classes may all be raised or stretched without another decision.

A series that comes late, or a map that lies beside its place, has an error that follows from the
neighbours instead. It is held against the steps from each value to the next, of any output.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeopt.answers.outputs import Array
from edgeopt.answers.profile import CELLS, Group, Profile
from edgeopt.answers.structure import MOST_VALUES
from edgeopt.answers.sums import Judged, Sums, joined, judged_by

TIMES = 10.0  # how often the systematic part of an error counts
LEAST = 0.126  # of the energy, 9 dB: what is looked at by itself
CHANCE = 2.0  # times the part of an error that looks systematic by chance, which does not count
FEW_CHANNELS = 16  # each is looked at by itself
UNIT = 0.01  # off their mean: norms of directions
FEW_AXES = 8  # of a direction, whose error may be a rotation
PLACES = 8  # along an axis, for neighbours to lie along it
MOVED = 0.4  # of a step to the next value
FOLLOWS = 0.4  # of an error, that is explained by such steps


def judged(name: str, mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """The systematic part of the error of an output of amounts, of each of a few channels.

    ``mine`` and ``theirs`` are (n, ...), ``source`` the profile of ``theirs``.
    """
    turned = directions(theirs, source)
    if not turned and not amounts(source):
        return
    b, a = _some(mine, theirs, source)
    values, errors = b - source.mean, a - b
    if not errors.any() or len(b) < 2:
        return
    steps = np.square(source.steps)[np.newaxis]
    for group in _parts(source, alone=not turned):
        c, e, step = (np.asarray(group.of(each)) for each in (values, errors, steps))
        yield from _systematic(joined(name, group.name), c, e, float(step.sum()), turned)


def amounts(source: Profile) -> bool:
    """Whether values are compared by size, not with each other: there is one channel, or they go
    from 0 to more than 1."""
    if source.whole or not source.axes:
        return False
    return source.mean.shape[source.class_axis - 1] == 1 or (source.low >= 0 and source.high > 1)


def directions(theirs: Array, source: Profile) -> bool:
    """Whether an output, (n, d), holds vectors of one length: headings, quaternions, embeddings."""
    if theirs.ndim != 2 or theirs.shape[1] < 2 or not source.low < 0 < source.high:
        return False
    norms = np.linalg.norm(np.asarray(theirs, np.float64), axis=1)
    return bool(np.abs(norms - norms.mean()).max() < UNIT * norms.mean())


def moved(mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """Values of the source that come out beside their place along an axis, by about a place or
    more: the error follows from the difference to the neighbour on one side."""
    b, a = _some(mine, theirs, source)
    for axis in range(1, b.ndim):
        if b.shape[axis] < PLACES:
            continue
        steps = np.diff(b, axis=axis)
        inner = slice(1, None), slice(None, -1)
        for side, which in zip(("before", "after"), inner, strict=True):
            at = tuple(which if each == axis else slice(None) for each in range(b.ndim))
            away, error = -steps if side == "before" else steps, (a - b)[at]
            energy, noise = float(np.square(away).sum()), float(np.square(error).sum())
            if not energy or not noise:
                continue
            share = float((away * error).sum()) / energy
            if share > MOVED and share**2 * energy > FOLLOWS * noise:
                name = (
                    f"the steps to the values {side} along axis {axis}, which stand in their place"
                )
                yield judged_by(name, away, error)


def _some(mine: Array, theirs: Array, source: Profile) -> tuple[Array, Array]:
    """Source and candidate in float64, shaped as the profile; of large outputs, some samples."""
    every = -(-theirs.size // MOST_VALUES)
    b, a = (
        np.asarray(each[::every], np.float64).reshape(-1, *source.mean.shape)
        for each in (theirs, mine)
    )
    return b, a


def _parts(source: Profile, *, alone: bool) -> list[Group]:
    """Channels, where there are few and they are looked at alone; else the groups of the source."""
    axis = source.class_axis
    count = source.mean.shape[axis - 1]
    if not alone:
        return [Group("", CELLS, 0, np.ones(source.mean.shape, bool))]
    if 1 < count <= FEW_CHANNELS:
        return [source.channel(axis, index) for index in range(count)]
    return source.groups


def _systematic(
    name: str, values: Array, errors: Array, step: float, turned: bool
) -> Iterator[Judged]:
    """``step`` is the sum of the squares of a step of 8 bits over the values of a sample."""
    n, energy = len(values), float(np.square(values).sum())
    parts, noise = part(values, errors, turned=turned)
    if noise <= n * step or TIMES * noise <= LEAST * energy:
        return
    flat = (np.square(each).reshape(n, -1).sum(axis=1) for each in (values, parts))
    own, wrong = next(flat), TIMES * next(flat)
    rows = Sums(own, wrong, own + wrong, own)
    yield Judged(joined(name, "the systematic part of the error"), rows.total(), lambda: rows)


def part(values: Array, errors: Array, *, turned: bool = False) -> tuple[Array, float]:
    """The systematic part of (n, ...) errors of centred values, and its energy but for what looks
    systematic by chance. ``turned``: whether values may stand for one another."""
    offset = errors.mean(axis=0, keepdims=True)
    following, chance = _following(values, errors - offset, turned)
    found = following + offset
    chance += float(np.square(errors - found).sum()) / len(values)
    return found, float(np.square(found).sum()) - CHANCE * chance


def _following(values: Array, errors: Array, turned: bool) -> tuple[Array, float]:
    """The best linear function of the values, and of what is smooth about them, for an error; and
    the energy that one would have by chance, if errors of samples are independent."""
    n = len(values)
    if turned and values.shape[1] <= FEW_AXES:
        ways, *_ = np.linalg.lstsq(values, errors, rcond=None)
        found = values @ ways
        rest = float(np.square(errors - found).sum())
        return found, values.shape[1] * rest / max(1, n - values.shape[1])
    looks = [values, *(_bent(values, axis) for axis in range(1, values.ndim)
                       if values.shape[axis] >= PLACES)]  # fmt: skip
    columns = np.stack([each.ravel() for each in looks], axis=1)
    weights, *_ = np.linalg.lstsq(columns, errors.ravel(), rcond=None)
    rest = (errors.ravel() - columns @ weights).reshape(n, -1, 1)
    pull = (columns.reshape(n, -1, len(looks)) * rest).sum(axis=1)
    inverse = np.linalg.pinv(columns.T @ columns)
    return (columns @ weights).reshape(values.shape), float(
        np.einsum("ij,jk,ik", pull, inverse, pull)
    )


def _bent(values: Array, axis: int) -> Array:
    """How far each value lies below the middle of its two neighbours along an axis."""
    first, last = (np.take(values, [each], axis) for each in (0, -1))
    padded = np.concatenate([first, values, last], axis=axis)
    steps: Array = np.diff(padded, 2, axis=axis) / 2
    return steps
