"""What of an output is judged by itself: its groups, and what strays too far for a sum to hide."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from edgeopt.answers import decisions, names, systematic
from edgeopt.answers.decisions import UNCLEAR, Choices
from edgeopt.answers.ends import flattened
from edgeopt.answers.levels import coarse
from edgeopt.answers.masks import side_of
from edgeopt.answers.outputs import Array, blocks
from edgeopt.answers.profile import CELLS, Group, Profile
from edgeopt.answers.structure import EVENTS, RARE, STRAY, gathered
from edgeopt.answers.sums import Judged, Sums, joined
from edgeopt.answers.views import SIZES, View, views
from edgeopt.stats.proportions import wilson

ODD = 100.0  # times the median error of samples: that of one that is lost, where others are not
KIND = 0.1  # share of samples that may be a kind of their own
LEAST = 0.126  # of the energy, 9 dB: the error of most artifacts
ROUNDING = 12.0  # the square of a step over the mean square of what rounding to it leaves
FLIPPED = 0.05  # share of clear decisions that fall otherwise by accident
INVERTED = 0.05  # of the sure ones for one class or side
TWICE = 2  # times a decision counts that falls otherwise, small leads too: at most 6% at 9 dB
MOSTLY, SCORED = 0.4, (2, 4)  # share that is clear, and axes, of scores that classes are told by
MISSED = 0.2  # of those for one class or side
GONE = 0.8  # of those for one class, whatever their leads: it is hardly chosen any more
MANY = 64  # values of a vector, for them to be places
USUAL = 2.0  # times the median error of places


def judged(mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """The source's groups, and whatever else strays too far for a sum to hide it.

    ``mine`` and ``theirs`` are (n, ...), ``source`` the profile of ``theirs``.
    """
    if source.whole:
        yield from names.judged("", mine, theirs)
        return
    plain = View("", mine, theirs, source)
    main = _all_of(plain, source.groups[0])
    yield main
    rows = main.rows()
    yield from _lost(main.name, rows)
    yield from _kind(main.name, rows, _explained(plain))
    yield from _slices(plain, groups=True)
    for view in views(mine, theirs, source):
        every = _all_of(view, Group("", CELLS, 0, np.ones(view.source.mean.shape, bool)))
        most = max(STRAY * every.sums.energy, _explained(view).sum())
        if every.sums.noise > most:
            yield every
        yield from _lost(every.name, every.rows())
        yield from _slices(view, groups=False)
        if view.name == SIZES:
            yield from systematic.judged(view.name, view.mine, view.theirs, view.source)
    if source.axes:
        yield from systematic.judged("", mine, theirs, source)
        yield from systematic.moved(mine, theirs, source)
        yield from gathered(mine, theirs, source)
        yield from flattened(mine, theirs, source)
        yield from coarse(mine, theirs, source)
    yield from _decided(mine, theirs, source)
    yield from _named(mine, theirs, source)


def _decided(mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """The decisions that are clear, where more than a few of them fall otherwise: all together, or
    those for one class or side, and those of the candidate for one side."""
    clear = 0.0
    for choices in decisions.choices(mine, theirs, source):
        if not choices.of_sides:
            clear = max(clear, float((choices.chosen != UNCLEAR).mean()))
        if choices.other.any():
            yield from _turned(choices)
            name = f"decisions by {choices.name}"
            yield from names.lost(name, choices.other, choices.chosen, MISSED)
            sure = np.where(choices.sure, choices.chosen, UNCLEAR)
            yield from names.lost(f"the surest {name}", choices.surely, sure, INVERTED)
            if choices.of_sides:  # false alarms
                name = f"the candidate's {name}"
                yield from names.lost(name, choices.other, choices.instead, MISSED)
    every = decisions.tops(mine, theirs, source)
    if every is not None and every.other.any():
        name = f"decisions by {every.name}"
        yield from names.lost(name, every.other, every.chosen, GONE)
        made, wrong = every.counts()
        if theirs.ndim in SCORED and clear >= MOSTLY and _often(made, wrong, FLIPPED):
            weighed = TWICE * wrong
            yield names.counted(f"{name}, small leads too", made.astype(np.float64), weighed)


def _turned(choices: Choices) -> Iterator[Judged]:
    """Decisions where more than a few fall otherwise; or where one of the surest does in more than
    a few samples, each of which has many."""
    made, wrong = choices.counts()
    hit: Array = np.any(choices.surely.reshape(len(made), -1), axis=1)
    if hit.sum() >= EVENTS and wilson(int(hit.sum()), len(hit))[0] > MISSED:
        yield names.counted(f"the surest decisions by {choices.name}", np.ones(len(hit)), hit)
    if _often(made, wrong, FLIPPED):
        yield names.counted(f"decisions by {choices.name}", made.astype(np.float64), wrong)


def _often(made: Array, wrong: Array, most: float) -> bool:
    """Whether more than a share of decisions, (n,) of each sample, are wrong by no accident."""
    samples = int((made > 0).sum())
    if samples < EVENTS:
        return False
    return wilson(round(float(wrong.sum() / made.sum()) * samples), samples)[0] > most


def _named(mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """What is right or wrong in an output of amounts: on which side of a gap values lie, and
    channels of names."""
    if theirs.dtype.kind != "f":
        return
    a, b = (np.asarray(each).reshape(len(each), *source.mean.shape) for each in (mine, theirs))
    middle = side_of(theirs)
    if middle is not None:
        part = f"the side of {middle:.3g} that values lie on"
        yield from names.judged(part, a > middle, b > middle)
    for axis, index in names.channels(theirs):
        one, two = (np.take(each, index, axis=axis) for each in (a, b))
        yield from names.judged(source.channel(axis, index).name, one, two)


def _lost(name: str, rows: Sums) -> Iterator[Judged]:
    """The samples of a group that are answered with something else, where most are near; ``rows``
    are its sums of each.

    A sample is lost where its error is more than half of the energy that samples have, its own and
    on average, and far above the error that samples usually have.
    """
    usual = float(np.median(rows.noise))
    energy = np.maximum(rows.energy, rows.energy.mean())
    lost = (rows.noise > STRAY * energy) & (rows.noise > ODD * usual)
    count = int(lost.sum())
    if count >= EVENTS and wilson(count, len(lost))[0] > RARE:
        part = joined(name, f"the {count} samples that are furthest off")
        sums = Sums(*(each[lost] for each in rows))
        yield Judged(part, sums.total(), lambda: sums)


def _kind(name: str, rows: Sums, explained: Array) -> Iterator[Judged]:
    """The samples of a group, a tenth or more, that are far off beside the others, as if of another
    kind: they must be as near as all are. ``explained`` is the noise that 8 bits explain."""
    rounding = float(explained.sum()) / len(rows.noise) / ROUNDING
    far = rows.noise > ODD * max(float(np.median(rows.noise)), rounding)
    count = int(far.sum())
    if count < EVENTS or wilson(count, len(far))[0] <= KIND:
        return
    sums = Sums(*(each[far] for each in rows))
    if sums.noise.mean() > LEAST * max(sums.energy.mean(), rows.energy.mean()):
        part = joined(name, f"the {count} samples that are far off beside the others")
        yield Judged(part, sums.total(), lambda: sums)


def _slices(view: View, *, groups: bool) -> Iterator[Judged]:
    """The groups of their own, if asked for, and channels and cells whose error is more than half
    of what the source's vary by; unless a step of 8 bits explains it, or of a cell, as many as the
    view has.

    A place, along the sides of a map or a cell, that hardly varies is none of them for an error
    that is usual elsewhere: it must be at least twice the median one, as it is.
    """
    source = view.source
    along = {axis: np.zeros((5, len(slices.spread))) for axis, slices in source.axes.items()}
    for block in blocks(view.theirs):
        products = source.products(view.mine[block], view.theirs[block])
        products = (*products, products[1] * np.square(source.scale))
        for axis, sums in along.items():
            sums += [source.along(each, axis) for each in products]
    for axis, slices in source.axes.items():
        energy, noise, _, _, raw = along[axis]
        strays = slices.events & (noise > STRAY * energy)
        if groups:
            strays |= slices.odd
        steps = view.steps if axis == CELLS else 1.0
        strays &= noise > steps**2 * source.along(_explained(view), axis)
        places = source.mean.ndim > 1 and axis != source.class_axis
        if axis == CELLS or places or len(slices.spread) > MANY:
            strays &= raw > USUAL * np.median(raw)
        for index in np.flatnonzero(strays):
            group = source.channel(axis, int(index))
            yield _judged(view, group, Sums(*along[axis][:4, index]))


def _explained(view: View) -> Array:
    """The noise of each value, (1, ...), that is within one step of 8 bits."""
    noise: Array = len(view.theirs) * np.square(view.source.steps / view.source.scale)[np.newaxis]
    return noise


def _all_of(view: View, group: Group) -> Judged:
    """A group with its sums over all samples."""
    sums = np.zeros(4)
    for block in blocks(view.theirs):
        products = view.source.products(view.mine[block], view.theirs[block])
        sums += [float(group.of(each).sum()) for each in products]
    return _judged(view, group, Sums(*sums))


def _judged(view: View, group: Group, sums: Sums) -> Judged:
    return Judged(joined(view.name, group.name), sums, partial(_rows, view, group))


def _rows(view: View, group: Group) -> Sums:
    """Sums of one group for each sample, (n,) each."""
    parts = []
    for block in blocks(view.theirs):
        products = view.source.products(view.mine[block], view.theirs[block])
        parts.append([group.of(each).reshape(len(each), -1).sum(axis=1) for each in products])
    return Sums(*(np.concatenate(each) for each in zip(*parts, strict=True)))
