"""The Pareto front: which points no other point beats."""

from __future__ import annotations

from collections.abc import Sequence


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
