"""Outputs and channels that stand still where the source's move."""

from __future__ import annotations

import numpy as np

from edgeopt.answers.outputs import Array
from edgeopt.answers.profile import CELLS, Profile, spreads
from edgeopt.schema.errors import ModelError

STILL = 0.01  # of the source's spread


def check_moves(name: str, mine: Array, source: Profile) -> None:
    """Raise ModelError for an output, or a channel of it, that stands still.

    It does where it varies by less than ``STILL`` of what the source's varies by, and the source's
    is no rare event: it moves in at least 5% of the samples. Single values that vary by less than
    two steps of 8 bits over their group's range are left out, and so are rows, columns and single
    values of maps that vary by less than that over all values and over their own level, as the sky
    of a depth map does.
    """
    if len(mine) < 2 or not source.axes:
        return
    for axis, own in spreads(mine, source.axes).items():
        slices = source.axes[axis]
        stands = slices.moves & (own < STILL * slices.spread)
        if axis == CELLS:
            stands &= slices.spread > 2 * source.steps.ravel()
        if axis in source.least_seen:
            stands &= slices.spread > 2 * source.least_seen[axis]
        still = np.flatnonzero(stands)
        if not len(still):
            continue
        first = int(still[0])
        whole = len(still) == len(slices.spread)
        what = "" if whole else f"{source.channel(axis, first).name} "
        rest = len(still) - 1
        others = f" (and {rest} other{'s' if rest > 1 else ''})" if rest and not whole else ""
        raise ModelError(
            f"output '{name}': {what or 'it '}stands still{others}: over the samples it varies by "
            f"{own[first]:.3g}, the source's by {slices.spread[first]:.3g}",
            hint="its values are lost: they vary by less than one step of a range that they "
            "share with larger values, or weights before them became zero",
        )
