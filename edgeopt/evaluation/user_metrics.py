"""A metric of the user's own: a function of outputs and labels.

It gives one value for each sample, whose mean is the metric (bootstrap interval), or one number
for all of them (interval by a jackknife of groups: Quenouille 1956, Tukey 1958).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from edgeopt.answers.outputs import Array, Outputs
from edgeopt.schema.errors import DataError
from edgeopt.schema.measurement import Measurement
from edgeopt.stats.bootstrap import PROTOCOL, bootstrap_of_means
from edgeopt.stats.ratios import quantile_of_t

Function = Callable[[Outputs, Array | None], Any]
GROUPS = 20
JACKKNIFE = f"jackknife of {GROUPS} groups, Student's t"
Better = Literal["more", "less"]


def figures(
    name: str, function: Function, better: Better, outputs: Outputs, source: Outputs,
    labels: Array | None,
) -> dict[str, Measurement]:  # fmt: skip
    """``metric.NAME``, and its ``difference.`` and ``ratio.`` to the source on the same samples.

    Raises DataError, naming the metric, for what is neither a number nor one for each sample,
    and for values that are not finite. What the function raises is passed on.
    """
    n = len(next(iter(outputs.values())))
    if n < 2:
        raise DataError("needs at least 2 samples to give an interval", where=f"metric.{name}")
    if np.ndim(_value(name, function, outputs, labels, n)):
        mine, theirs = (_value(name, function, o, labels, n) for o in (outputs, source))
        estimates = _of_values(mine, theirs)
    else:
        estimates = _of_numbers(name, function, outputs, source, labels, n)
    return {
        f"{prefix}metric.{name}": Measurement(
            quantity=f"{prefix}metric.{name}",
            value=value,
            unit="x" if prefix == "ratio." else "",
            low=low,
            high=high,
            n=n,
            protocol=protocol,
            better=better,
        )
        for prefix, (value, low, high, protocol) in estimates.items()
    }


Found = dict[str, tuple[float, float, float, str]]


def _of_values(mine: Array, theirs: Array) -> Found:
    """Means of one value a sample."""
    estimates = {"": (float(mine.mean()), *bootstrap_of_means(np.asarray, mine), PROTOCOL)}
    apart = mine - theirs
    estimates["difference."] = (
        float(apart.mean()),
        *bootstrap_of_means(np.asarray, apart),
        PROTOCOL,
    )
    low, high = bootstrap_of_means(np.asarray, theirs)
    if low > 0 or high < 0:
        with np.errstate(divide="ignore", invalid="ignore"):
            interval = bootstrap_of_means(np.divide, mine, theirs)
        if np.isfinite(interval).all():
            estimates["ratio."] = (float(mine.mean() / theirs.mean()), *interval, PROTOCOL)
    return estimates


def _of_numbers(
    name: str, function: Function, outputs: Outputs, source: Outputs, labels: Array | None, n: int
) -> Found:
    """One number for all samples: with each group of them left out in turn."""
    groups = min(GROUPS, n)
    member = np.arange(n) % groups

    def both(rows: Array) -> tuple[float, float]:
        own = None if labels is None else labels[rows]
        mine, theirs = ({key: a[rows] for key, a in each.items()} for each in (outputs, source))
        return tuple(float(_value(name, function, o, own, len(rows))) for o in (mine, theirs))  # type: ignore[return-value]

    whole = both(np.arange(n))
    without = [both(np.flatnonzero(member != group)) for group in range(groups)]
    estimates = {"": _jackknifed(whole[0], [mine for mine, _ in without])}
    apart = [mine - theirs for mine, theirs in without]
    estimates["difference."] = _jackknifed(whole[0] - whole[1], apart)
    if whole[1] and all(theirs for _, theirs in without):
        shares = [mine / theirs for mine, theirs in without]
        estimates["ratio."] = _jackknifed(whole[0] / whole[1], shares)
    return estimates


def _jackknifed(whole: float, without: list[float]) -> tuple[float, float, float, str]:
    groups = len(without)
    spread = float(np.std(without)) * math.sqrt(groups - 1)
    half = quantile_of_t(groups - 1) * spread
    return whole, whole - half, whole + half, JACKKNIFE


def _value(name: str, function: Function, outputs: Outputs, labels: Array | None, n: int) -> Array:
    """A float64 of no dimension, or (n,)."""
    given = function({key: np.asarray(array) for key, array in outputs.items()}, labels)
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    try:
        value = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"gives a {type(given).__name__}, no number", where=f"metric.{name}", hint=FORMS
        ) from None
    if value.shape not in ((), (n,)):
        raise DataError(
            f"gives {list(value.shape)} values for {n} samples", where=f"metric.{name}", hint=FORMS
        )
    bad = ~np.isfinite(np.atleast_1d(value))
    if bad.any():
        place = f" for sample {int(bad.argmax())}" if value.ndim else ""
        raise DataError(f"is not finite{place}", where=f"metric.{name}", hint=FORMS)
    return value


FORMS = "a metric takes (outputs, labels) and gives one value for each sample, or one number"
