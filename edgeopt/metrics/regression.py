"""How far predicted values are from the true ones: mean squared and mean absolute error.

Errors are averaged over a sample's values first, then over samples; intervals are by a
bootstrap of the samples, of pairs where two models are compared.
"""

from __future__ import annotations

import numpy as np

from edgeopt.metrics.outputs import Array
from edgeopt.schema.errors import DataError, ModelError
from edgeopt.schema.measurement import Measurement
from edgeopt.stats.bootstrap import PROTOCOL, bootstrap

QUANTITIES = ("mse", "mae")


def measure(quantity: str, name: str, output: Array, labels: Array) -> Measurement:
    """``mse`` or ``mae``, in the labels' own unit (squared for ``mse``).

    Raises ModelError, naming the output, where it has not the labels' shape; DataError for a
    single sample.
    """
    errors = _errors(quantity, name, output, labels)
    return _made(quantity, float(errors.mean()), "", bootstrap(np.mean, errors), len(errors))


def difference(
    quantity: str, name: str, output: Array, source: Array, labels: Array
) -> Measurement:
    """Candidate minus source on the same samples."""
    mine, theirs = (_errors(quantity, name, each, labels) for each in (output, source))
    apart = mine - theirs
    return _made(
        f"difference.{quantity}", float(apart.mean()), "", bootstrap(np.mean, apart), len(apart)
    )


def ratio(quantity: str, name: str, output: Array, source: Array, labels: Array) -> Measurement:
    """Candidate over source on the same samples. Raises ModelError for a source without error."""
    mine, theirs = (_errors(quantity, name, each, labels) for each in (output, source))
    if theirs.mean() <= 0:
        raise ModelError(f"{quantity} of the source is zero: no ratio to it")
    interval = bootstrap(_over, mine, theirs)
    return _made(f"ratio.{quantity}", float(_over(mine, theirs)), "x", interval, len(mine))


def _over(mine: Array, theirs: Array, axis: int = -1) -> Array:
    found: Array = mine.mean(axis=axis) / theirs.mean(axis=axis)
    return found


def _errors(quantity: str, name: str, output: Array, labels: Array) -> Array:
    """Each sample's mean error, (n,) float64."""
    values = np.asarray(labels, np.float64).reshape(len(labels), -1)
    if len(values) < 2:
        raise DataError(f"{quantity} needs at least 2 samples to give an interval")
    if len(output) != len(values) or output.size != values.size:
        raise ModelError(
            f"output '{name}' {list(output.shape)} has not the shape of its labels, "
            f"{list(labels.shape)}",
            hint="labels of classes must be whole numbers, not floats",
        )
    apart = np.asarray(output, np.float64).reshape(values.shape) - values
    _check_finite(name, apart)
    errors: Array = (np.square(apart) if quantity == "mse" else np.abs(apart)).mean(axis=1)
    return errors


def _check_finite(name: str, errors: Array) -> None:
    """Raise ModelError for an infinite error: labels are finite, so the output is not."""
    bad = ~np.isfinite(errors).all(axis=1)
    if bad.any():
        raise ModelError(
            f"output '{name}' is infinite for sample {int(np.argmax(bad))}, its label not"
        )


def _made(
    quantity: str, value: float, unit: str, interval: tuple[float, float], n: int
) -> Measurement:
    low, high = interval
    return Measurement(
        quantity=quantity, value=value, unit=unit, low=low, high=high, n=n, protocol=PROTOCOL
    )
