"""The sums that nearness is made of, and a part of an output that is judged by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgeopt.answers.outputs import Array


def joined(*parts: str) -> str:
    """The name of a part of a part; what has no name is left out."""
    return ", ".join(filter(None, parts))


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
