"""Ratios of times, and times themselves, over fresh processes: t intervals of logarithms.

Processes are the unit of replication: what differs from one to the next (memory layout, the
neighbours' load) is most of the noise, and samples within one are not independent
(Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

CONFIDENCE = 0.95
METHOD = "Student's t over logarithms"


@dataclass(frozen=True)
class Interval:
    """``value`` within ``low`` and ``high``, which are None where n is 1."""

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval of the logarithm; infinite where there is none."""
        return float("inf") if self.high is None else log(self.high / self.value)


def geometric_interval(values: Sequence[float]) -> Interval:
    """Geometric mean of positive values with Student's t interval of their logarithms.

    The interval of ratios is that of their reciprocals turned over, and is never negative.
    Raises ValueError for no values, or any that is not positive and finite.
    """
    if not values or not all(0.0 < value < float("inf") for value in values):
        raise ValueError("needs positive, finite values")
    n = len(values)
    logs = [log(value) for value in values]
    mean = sum(logs) / n
    if n == 1:
        return Interval(values[0], None, None, 1)
    variance = sum((x - mean) ** 2 for x in logs) / (n - 1)
    half = quantile_of_t(n - 1) * sqrt(variance / n)
    return Interval(exp(mean), exp(mean - half), exp(mean + half), n)


def quantile_of_t(degrees: int, confidence: float = CONFIDENCE) -> float:
    """The two-sided quantile of Student's t; one-sided 99% is that of a confidence of 98%."""
    from scipy.special import stdtrit  # slow

    return float(stdtrit(degrees, 0.5 + confidence / 2))


def percentile(nanoseconds: np.ndarray, percent: float) -> float:
    """The percentile in milliseconds, linear between neighbours."""
    return float(np.percentile(nanoseconds, percent)) / 1e6
