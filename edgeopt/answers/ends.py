"""Ends of an output's range at which a candidate stops, where the source goes on.

Peaks of a map, the surest boxes and the loudest alarms lie at an end: where all of them come out
as one value, nobody can tell which is the highest, though little of the output's energy is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeopt.answers.outputs import Array
from edgeopt.answers.profile import EVENTS, Profile
from edgeopt.answers.sums import Judged, joined, judged_by
from edgeopt.stats.proportions import wilson

NEAR = 2.0  # steps of 8 bits
PAST = 0.04  # of the range: how far the source goes on, on average
CLIPPED = 0.025  # share of samples that a range found from few of them leaves outside
FEW_CHANNELS = 64


def flattened(mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """The samples whose highest or lowest value comes out as the candidate's one end.

    ``mine`` and ``theirs`` are (n, ...) amounts, ``source`` the profile of ``theirs``. All values
    are looked at together, and each channel by itself.
    """
    shape = (len(theirs), *source.mean.shape)
    a, b = (np.asarray(each, np.float64).reshape(shape) for each in (mine, theirs))
    axis = source.class_axis
    yield from _ends("", a, b, source.step)
    if 1 < shape[axis] <= FEW_CHANNELS:
        for index in range(shape[axis]):
            one, two = (np.take(each, index, axis) for each in (a, b))
            yield from _ends(source.channel(axis, index).name, one, two, source.step)


def _ends(name: str, mine: Array, theirs: Array, step: float) -> Iterator[Judged]:
    a, b = (each.reshape(len(each), -1) for each in (mine, theirs))
    width = float(np.ptp(b))
    for word, sign in (("highest", 1), ("lowest", -1)):
        places = (sign * b).argmax(axis=1)[:, np.newaxis]
        there, source = (sign * np.take_along_axis(x, places, 1)[:, 0] for x in (a, b))
        end = float((sign * a).max())
        past = source - end
        clipped = (past > NEAR * step) & (there > end - NEAR * step)
        count = int(clipped.sum())
        if count < EVENTS or past[clipped].mean() <= PAST * width:
            continue
        if wilson(count, len(b))[0] > CLIPPED:
            part = f"the {word} values of {count} samples, which are one"
            values = source[clipped] - source[clipped].mean()
            yield judged_by(joined(name, part), values, -past[clipped])
