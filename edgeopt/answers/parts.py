"""What of an output is judged by itself: its groups, and what strays too far for a sum to hide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from edgeopt.answers import decisions, names
from edgeopt.answers.masks import side_of
from edgeopt.answers.outputs import Array, blocks
from edgeopt.answers.profile import CELLS, Group, Profile
from edgeopt.answers.structure import gathered
from edgeopt.answers.sums import Judged, Sums, joined
from edgeopt.answers.views import View, views
from edgeopt.stats.proportions import wilson

STRAY = 0.5  # of the source's energy, 3 dB: an error that is looked at by itself
ODD = 100.0  # times the median error of samples: that of one that is lost, where others are not
FLIPPED = 0.05  # share of clear decisions that fall otherwise by accident
USUAL = 2.0  # times the median error of places
ROUNDED = 3.0  # of a step, squared: four times the error of rounding
EVENTS, RARE = 5, 0.01  # samples lost, and the share of all that are no accident


def judged(mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """The source's groups, and whatever else strays too far for a sum to hide it.

    ``mine`` and ``theirs`` are (n, ...), ``source`` the profile of ``theirs``.
    """
    if source.whole:
        yield from names.judged("", mine, theirs)
        return
    plain = View("", mine, theirs, source)
    groups = list(_groups(plain, source.groups))
    yield from groups
    yield from _lost(groups[0])
    yield from _strays(plain)
    for view in views(mine, theirs, source):
        for each in _groups(view, [Group("", CELLS, 0, np.ones(view.source.mean.shape, bool))]):
            if each.sums.noise > STRAY * each.sums.energy:
                yield each
            yield from _lost(each)
        yield from _strays(view)
    if source.axes:
        yield from gathered(mine, theirs, source)
    yield from _decided(mine, theirs, source)
    yield from _named(mine, theirs, source)


def _decided(mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """The decisions that are clear, where more than a few of them fall otherwise."""
    found = decisions.clear(mine, theirs, source)
    if found is None or not found[1].any():
        return
    sure, other = found
    samples = int((sure > 0).sum())
    share = float(other.sum() / sure.sum())
    if samples >= EVENTS and wilson(round(share * samples), samples)[0] > FLIPPED:
        yield names.counted("decisions by a clear lead", sure.astype(np.float64), other)


def _named(mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """What is right or wrong in an output of amounts: on which side of a gap values lie, and
    channels of names."""
    if theirs.dtype.kind != "f":
        return
    a, b = (np.asarray(each).reshape(len(each), *source.mean.shape) for each in (mine, theirs))
    middle = side_of(theirs)
    if middle is not None:
        told = f"the side of {middle:.3g} that values lie on"
        yield from names.judged(told, a > middle, b > middle)
    for axis, index in names.channels(theirs):
        one, two = (np.take(each, index, axis=axis) for each in (a, b))
        yield from names.judged(source.channel(axis, index).name, one, two)


def _lost(group: Judged) -> Iterator[Judged]:
    """The samples of a group that are answered with something else, where most are near.

    A sample is lost where its error is more than half of the energy that samples have, its own and
    on average, and far above the error that samples usually have.
    """
    rows = group.rows()
    usual = float(np.median(rows.noise))
    energy = np.maximum(rows.energy, rows.energy.mean())
    lost = (rows.noise > STRAY * energy) & (rows.noise > ODD * usual)
    count = int(lost.sum())
    if count >= EVENTS and wilson(count, len(lost))[0] > RARE:
        told = joined(group.name, f"the {count} samples that are furthest off")
        found = Sums(*(each[lost] for each in rows))
        yield Judged(told, found.total(), lambda: found)


def _strays(view: View) -> Iterator[Judged]:
    """Channels and cells whose error is more than half of what the source's vary by.

    A place, along the sides of a map or a cell, that hardly varies is none of them for an error
    that is usual elsewhere: it must be at least twice the median one, as it is.
    """
    source = view.source
    along = {axis: np.zeros((5, len(told.spread))) for axis, told in source.axes.items()}
    for block in blocks(view.theirs):
        products = source.products(view.mine[block], view.theirs[block])
        products = (*products, products[1] * np.square(source.scale))
        for axis, found in along.items():
            found += [source.along(each, axis) for each in products]
    rounded = len(view.theirs) * np.square(source.steps / source.scale) / ROUNDED
    for axis, told in source.axes.items():
        energy, noise, _, _, raw = along[axis]
        least = source.along(rounded[np.newaxis], axis)
        strays = told.events & (noise > STRAY * energy) & (noise > least)
        if axis == CELLS or (source.mean.ndim > 1 and axis != decisions.class_axis(source)):
            strays &= raw > USUAL * np.median(raw)
        for index in np.flatnonzero(strays):
            group = source.channel(axis, int(index))
            yield _judged(view, group, Sums(*along[axis][:4, index]))


def _groups(view: View, groups: Sequence[Group]) -> Iterator[Judged]:
    """Sums of each group over all samples."""
    found = np.zeros((len(groups), 4))
    for block in blocks(view.theirs):
        products = view.source.products(view.mine[block], view.theirs[block])
        for number, group in enumerate(groups):
            found[number] += [float(group.of(each).sum()) for each in products]
    for group, each in zip(groups, found, strict=True):
        yield _judged(view, group, Sums(*each))


def _judged(view: View, group: Group, sums: Sums) -> Judged:
    return Judged(joined(view.name, group.name), sums, partial(_rows, view, group))


def _rows(view: View, group: Group) -> Sums:
    """Sums of one group for each sample, (n,) each."""
    parts = []
    for block in blocks(view.theirs):
        products = view.source.products(view.mine[block], view.theirs[block])
        parts.append([group.of(each).reshape(len(each), -1).sum(axis=1) for each in products])
    return Sums(*(np.concatenate(each) for each in zip(*parts, strict=True)))
