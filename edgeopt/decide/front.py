"""The Pareto front: which points no other point beats, what they cover, and where they bend.

Less is better on every axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, ...]


def pareto_front(points: Sequence[Sequence[float]]) -> list[bool]:
    """For each point whether it is on the front; less is better on every axis.

    A point is beaten by one that is nowhere worse and somewhere better; equal points stand
    together. Taken in sorted order a point can only be beaten by one before it, and then
    also by one of the front.
    """
    front: list[tuple[float, ...]] = []
    for point in sorted({tuple(p) for p in points}):
        if not any(all(a <= b for a, b in zip(kept, point, strict=True)) for kept in front):
            front.append(point)
    members = set(front)
    return [tuple(p) in members for p in points]


def hypervolume(points: Sequence[Sequence[float]], worst: Sequence[float]) -> float:
    """The volume of what the points beat, up to the point ``worst``; what is not better than
    ``worst`` on every axis adds nothing.

    By slices along the last axis (While et al., A faster algorithm for calculating hypervolume,
    IEEE Transactions on Evolutionary Computation 10, 2006).
    """
    inside = {tuple(p) for p in points if all(a < b for a, b in zip(p, worst, strict=True))}
    return _volume(sorted(inside, key=lambda p: p[-1]), tuple(worst)) if inside else 0.0


def _volume(points: Sequence[Point], worst: Point) -> float:
    """Of points in the order of their last axis."""
    if len(worst) == 1:
        return worst[0] - points[0][0]
    ends = [*(p[-1] for p in points[1:]), worst[-1]]
    total, met = 0.0, list[Point]()
    for point, end in zip(points, ends, strict=True):
        met = sorted([*met, point[:-1]], key=lambda p: p[-1])
        if end > point[-1]:
            total += (end - point[-1]) * _volume(met, worst[:-1])
    return total


def knee(points: Sequence[Sequence[float]]) -> int | None:
    """Which point of a front lies nearest to the best of all axes at once, each axis taken from
    its least to its greatest value on the front; None below three points, where nothing bends."""
    if len(set(map(tuple, points))) < 3:
        return None
    ends = [(min(axis), max(axis)) for axis in zip(*points, strict=True)]

    def far(point: Sequence[float]) -> float:
        spread = zip(point, ends, strict=True)
        return math.hypot(*((v - low) / (high - low) if high > low else 0.0
                            for v, (low, high) in spread))  # fmt: skip

    return min(range(len(points)), key=lambda index: far(points[index]))
