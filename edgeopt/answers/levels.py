"""Few levels in place of many values: a grid that is much coarser than 8 bits need."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeopt.answers.outputs import Array
from edgeopt.answers.profile import Profile
from edgeopt.answers.sums import Judged, Sums

FEW = 32  # levels, of 5 bits
OFTEN = 8  # times as many values of the source
OFF = 2.0  # steps of 8 bits: the root mean square of the error
TIMES = 10  # how much such an error counts: what lay between two levels is lost in every sample
LOOKED_AT = 1 << 20  # values


def coarse(mine: Array, theirs: Array, source: Profile) -> Iterator[Judged]:
    """A candidate's values, (n, ...), where they are few, the source's many and far from them.

    ``source`` is the profile of ``theirs``.
    """
    levels = _distinct(np.asarray(mine))
    if levels is None or _distinct(np.asarray(theirs), OFTEN * levels) is not None:
        return
    a, b = (
        np.asarray(each, np.float64).reshape(len(each), *source.mean.shape)
        for each in (mine, theirs)
    )
    if float(np.square(a - b).mean()) <= (OFF * source.step) ** 2:
        return
    values, errors = (b - source.mean) / source.scale, (a - b) / source.scale
    own, wrong = (np.square(each).reshape(len(b), -1).sum(axis=1) for each in (values, errors))
    rows = Sums(own, TIMES * wrong, own + TIMES * wrong, own)
    yield Judged(f"all values, which have {levels} levels", rows.total(), lambda: rows)


def _distinct(values: Array, most: int = FEW) -> int | None:
    """How many different values there are, where they are no more than ``most``."""
    flat = values.ravel()[:: -(-values.size // LOOKED_AT)]
    for part in (flat[: 64 * most], flat):
        count = len(np.unique(part))
        if count > most:
            return None
    return count
