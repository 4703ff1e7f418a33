"""The sums that nearness is made of, and a part of an output that is judged by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edgeopt.answers.outputs import Array


def joined(*parts: str) -> str:
    """The name of a part of a part; what has no name is left out."""
    return ", ".join(filter(None, parts))


def pooled(values: Array, most: int, spared: int = 0) -> Array:
    """The mean over neighbours along the longest axes of (n, ...), so that a sample has at most
    so many values. An axis that is spared counts as an eighth as long."""
    while values[:1].size > most:
        axes = range(1, values.ndim)
        axis = max(axes, key=lambda each: values.shape[each] / (8 if each == spared else 1))
        starts = np.arange(0, values.shape[axis], 2)
        sizes = np.diff(np.append(starts, values.shape[axis]))
        shape = [-1 if each == axis else 1 for each in range(values.ndim)]
        values = np.add.reduceat(values, starts, axis=axis) / sizes.reshape(shape)
    return values


class Sums(NamedTuple):
    """Sums over a group's values: s^2, (s - c)^2, c^2 and s c; of all samples or (n,) each."""

    energy: Array
    noise: Array
    own: Array
    dot: Array

    def total(self) -> Sums:
        """Over all samples."""
        return Sums(*(each.sum() for each in self))


class Judged(NamedTuple):
    """A part of an output: its name, empty for all values as they are; its sums over all samples;
    and what gives them of each."""

    name: str
    sums: Sums
    rows: Callable[[], Sums]


def judged_by(name: str, values: Array, errors: Array) -> Judged:
    """What is judged by (n, ...) values of the source, centred, and the candidate's errors."""
    c, e = (each.reshape(len(each), -1) for each in (values, errors))
    s = c + e
    rows = Sums(*(each.sum(axis=1) for each in (c * c, e * e, s * s, s * c)))
    return Judged(name, rows.total(), lambda: rows)
