"""Pareto fronts of a result: per target, and one artifact for all of them."""

from __future__ import annotations

from edgeopt.schema.base import Noun
from edgeopt.schema.measurement import Measurement


class FrontPoint(Noun):
    """A candidate on the front, its figure on each axis."""

    id: str
    label: str
    target: str  # where it runs
    digest: str  # of its artifact
    figures: dict[str, Measurement]
    chosen: bool = False
    knee: bool = False  # the nearest to the best of all axes at once


class TargetFront(Noun):
    """The front of one target's candidates that hold all bounds, the best on the first axis first.

    ``hypervolume`` is the share that the front covers of the box from the best of all axes to a
    tenth of their spread beyond the worst, 0 to 1; None where an axis has one value. ``left_out``
    tells who is not compared and why.
    """

    target: str
    axes: tuple[str, ...]
    points: tuple[FrontPoint, ...]
    compared: int
    hypervolume: float | None = None
    left_out: dict[str, str] = {}


class OneForAll(Noun):
    """An artifact that holds on every target, and its first axis over that of each one's best."""

    label: str
    digest: str
    costs: dict[str, float]
    cost: float  # geometric mean


class Fronts(Noun):
    """The fronts of a result; ``for_all`` the artifacts that all targets could share, cheapest
    first, where there are several targets and all were measured."""

    result: str
    targets: tuple[TargetFront, ...]
    for_all: tuple[OneForAll, ...] = ()
