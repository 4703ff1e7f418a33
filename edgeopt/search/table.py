"""Measured speed by width: what a network gains on a target when it keeps part of its MACs.

Kernels like some channel counts and not others, so fewer MACs may be slower. Only widths that were
measured faster than every wider one are offered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

GRID = (0.75, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1)  # of the MACs, raced for a speed-up


@dataclass(frozen=True)
class Width:
    """``fraction`` of the MACs was asked for and ``kept`` is what the network has.

    ``ratio`` is its time over the reference's, within ``low`` and ``high``.
    """

    fraction: float
    kept: float
    ratio: float
    low: float
    high: float


def offered(widths: Iterable[Width]) -> tuple[Width, ...]:
    """The widest first; of the others those that are faster than all before, beyond the noise."""
    found: list[Width] = []
    for width in sorted(widths, key=lambda w: -w.kept):
        if not found or (width.high < found[-1].ratio and width.ratio < found[-1].low):
            found.append(width)
    return tuple(found)


def widest(widths: Iterable[Width], ratio: float) -> Width | None:
    """The widest that is offered and proven to take at most ``ratio`` of the reference's time."""
    fitting = (width for width in offered(widths) if width.high <= ratio)
    return max(fitting, key=lambda width: width.kept, default=None)
