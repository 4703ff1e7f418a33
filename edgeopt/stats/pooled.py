"""Intervals of several means of logarithms whose noise is alike: its variance is pooled.

A few processes each tell little of their own noise (three give a quantile of 4.3, two one of
12.7), those of all together tell much. Where one candidate's noise is proven larger than that of
the others, its own variance stands for it: an outlier may not pass for precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

from edgeopt.stats.ratios import Interval, quantile_of_t

POOLED = "Student's t over logarithms, with the variance pooled over {} candidates of like noise"
OWN = "Student's t over logarithms; its own variance, larger than that of the others by an F test"
ODD = 0.99  # of the F distribution: above it, a variance is larger than that of the others
FEWEST_DEGREES = 4  # of the others, below which they prove nothing


@dataclass(frozen=True)
class Sampled:
    """Mean and variance of the logarithms of ``n`` processes, two or more."""

    mean: float
    variance: float
    n: int

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the variance."""
        return self.n - 1


def sampled(interval: Interval) -> Sampled:
    """What a t interval of logarithms was made of. Raises ValueError for n < 2."""
    if interval.n < 2 or interval.high is None:
        raise ValueError("one process has no variance")
    error = interval.half_width / quantile_of_t(interval.n - 1)
    return Sampled(log(interval.value), error * error * interval.n, interval.n)


def pooled_intervals(samples: Sequence[Sampled]) -> list[Interval]:
    """A 95% interval for each, in the order given.

    The variance is pooled (the sum of squares over the sum of degrees of freedom, as in analysis
    of variance) over those that are ``alike``; the others keep their own variance and its
    degrees of freedom.
    """
    pool = alike(samples)
    shared = _pool([samples[i] for i in pool]) if pool else (0.0, 0)
    return [
        _interval(each, *(shared if index in pool else (each.variance, each.degrees)))
        for index, each in enumerate(samples)
    ]


def alike(samples: Sequence[Sampled]) -> list[int]:
    """The places of those whose variance is not larger by an F test at 99% against the rest."""
    pool = sorted(range(len(samples)), key=lambda i: (samples[i].variance, samples[i].n))
    while len(pool) > 1:
        *rest, largest = pool
        variance, degrees = _pool([samples[i] for i in rest])
        if degrees < FEWEST_DEGREES or not _exceeds(samples[largest], variance, degrees):
            break
        pool = rest
    return pool


def _pool(samples: Sequence[Sampled]) -> tuple[float, int]:
    """Pooled variance and its degrees of freedom."""
    degrees = sum(each.degrees for each in samples)
    return sum(each.degrees * each.variance for each in samples) / degrees, degrees


def _exceeds(one: Sampled, variance: float, degrees: int) -> bool:
    from scipy.special import fdtri  # slow

    return one.variance > float(fdtri(one.degrees, degrees, ODD)) * variance


def _interval(each: Sampled, variance: float, degrees: int) -> Interval:
    half = quantile_of_t(degrees) * sqrt(variance / each.n)
    mean = each.mean
    return Interval(exp(mean), exp(mean - half), exp(mean + half), each.n)
