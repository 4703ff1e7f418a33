"""Values that stand for "not allowed": infinities, or one number far below all others.

Scores are masked by -inf or by a number such as -1e9. What a mask hides is no value: a mean, a
spread or an error would consist of it alone. So masked values are left out of every sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgeopt.metrics.outputs import Array, kept
from edgeopt.schema.errors import ModelError

FAR = 3.0  # ranges of all other values: how far off a number is that stands for a mask
LARGE = 10.0  # times the largest other value
FEWEST = 8  # values
OFTEN = 0.005  # share of values that are this very number


class Masked(NamedTuple):
    """Where a source masks, and its values with the mean over samples in place of masked ones."""

    at: Array | None
    values: Array
    least: float  # what a masked value of a candidate stays below


@kept
def masked(theirs: Array) -> Masked:
    """What a source masks of an output, (n, ...); nothing where its values are whole numbers."""
    if theirs.dtype.kind != "f" or not theirs.size:
        return Masked(None, theirs, 0.0)
    at, least = np.isinf(theirs), float("inf")
    if not at.any():
        found = _sentinel(theirs)
        if found is None:
            return Masked(None, theirs, 0.0)
        at, least = found
    return Masked(at, _filled(theirs, at, theirs), least)


def unmasked(name: str, mine: Array, theirs: Array) -> tuple[Array, Array]:
    """Both sides with the same number wherever the source masks.

    Raises ModelError, naming output and sample, where the candidate does not mask what the source
    does. Infinities are equal on both sides already.
    """
    told = masked(theirs)
    if told.at is None:
        return mine, theirs
    lost = told.at & (np.asarray(mine) > told.least)
    if lost.any():
        sample = int(lost.reshape(len(mine), -1).any(axis=1).argmax())
        raise ModelError(
            f"output '{name}' does not mask at sample {sample} what the source masks there",
            hint="a number that stands for 'not allowed' became an ordinary one",
        )
    return _filled(mine, told.at, told.values), told.values


def _sentinel(theirs: Array) -> tuple[Array, float] | None:
    """Where the smallest value stands often and far below all others, and what is still below."""
    low = theirs.min()
    at = theirs == low
    share = float(at.mean())
    if not OFTEN <= share < 1 or at.sum() < FEWEST:
        return None
    rest = theirs[~at]
    least, most = float(rest.min()), float(rest.max())
    far = float(low) < least - FAR * (most - least) and -float(low) > LARGE * max(-least, most)
    if most == least or not far:
        return None
    return at, least - (most - least)


def _filled(values: Array, at: Array, source: Array) -> Array:
    """Masked values replaced by the source's mean over the samples that are not masked there."""
    kept_ones = ~at
    count = kept_ones.sum(axis=0)
    total = np.where(at, 0.0, np.asarray(source, np.float64)).sum(axis=0)
    mean = np.divide(total, count, out=np.zeros(count.shape), where=count > 0)
    found: Array = np.where(at, mean, np.asarray(values, np.float64))
    return found
