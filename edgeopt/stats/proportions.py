"""95% intervals of proportions: one alone (Wilson), and the difference of two that are paired."""

from __future__ import annotations

from functools import cache
from math import sqrt
from statistics import NormalDist

CONFIDENCE = 0.95
WILSON = "Wilson score interval"
BONETT_PRICE = "Bonett-Price adjusted Wald interval for paired proportions"


def wilson(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion (JASA 22, 1927). Raises ValueError for n < 1."""
    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is not a proportion")
    p, z2 = hits / n, _z(confidence) ** 2 / n
    middle = (p + z2 / 2) / (1 + z2)
    half = sqrt(p * (1 - p) * z2 + z2 * z2 / 4) / (1 + z2)
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return low if hits else 0.0, high if hits < n else 1.0


def paired_difference(
    gained: int, lost: int, n: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Interval of (gained - lost) / n for two proportions of the same ``n`` samples.

    ``gained`` samples succeed in the second alone, ``lost`` in the first alone. Bonett and
    Price's adjusted Wald interval (J. Educ. Behav. Stat. 37, 2012): one pseudo-sample joins
    each of the two counts, so p = (count + 1) / (n + 2), and the interval is

        p_gained - p_lost +- z sqrt((p_gained + p_lost - (p_gained - p_lost)^2) / (n + 2))

    cut off at -1 and 1. It keeps its coverage where few samples differ or none does; then it
    is wider than the plain Wald interval, never a point. Raises ValueError for n < 1.
    """
    if n < 1 or gained < 0 or lost < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost of {n} cannot be")
    p_gained, p_lost = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    middle = p_gained - p_lost
    half = _z(confidence) * sqrt((p_gained + p_lost - middle**2) / (n + 2))
    return max(middle - half, -1.0), min(middle + half, 1.0)


def each_of(count: int) -> float:
    """The confidence of each of several intervals that hold together with 95% (Bonferroni)."""
    return 1.0 - (1.0 - CONFIDENCE) / count


@cache
def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)
