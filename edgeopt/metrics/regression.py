"""How far predicted values are from the true ones: mean squared and mean absolute error.

Errors are averaged over a sample's values first, then over samples; intervals are by a
bootstrap of the samples, of pairs where two models are compared.
"""

from __future__ import annotations

import numpy as np

from edgeopt.metrics.outputs import Array, Outputs, check_outputs
from edgeopt.schema.errors import DataError, ModelError
from edgeopt.schema.measurement import Measurement
from edgeopt.stats.bootstrap import PROTOCOL, bootstrap

QUANTITIES = ("mse", "mae")


def measure(quantity: str, outputs: Outputs, labels: Array) -> Measurement:
    """``mse`` or ``mae``, in the labels' own unit (squared for ``mse``).

    Raises ModelError, naming the outputs, where none has the labels' shape; DataError for a
    single sample.
    """
    errors = _errors(quantity, outputs, labels)
    return _made(quantity, float(errors.mean()), "", bootstrap(np.mean, errors), len(errors))


def difference(quantity: str, outputs: Outputs, source: Outputs, labels: Array) -> Measurement:
    """Candidate minus source on the same samples."""
    apart = _errors(quantity, outputs, labels) - _errors(quantity, source, labels)
    name = f"difference.{quantity}"
    return _made(name, float(apart.mean()), "", bootstrap(np.mean, apart), len(apart))


def ratio(quantity: str, outputs: Outputs, source: Outputs, labels: Array) -> Measurement:
    """Candidate over source on the same samples. Raises ModelError for a source without error."""
    mine, theirs = (_errors(quantity, each, labels) for each in (outputs, source))
    if theirs.mean() <= 0:
        raise ModelError(f"{quantity} of the source is zero: no ratio to it")
    interval = bootstrap(_over, mine, theirs)
    return _made(f"ratio.{quantity}", float(_over(mine, theirs)), "x", interval, len(mine))


def _over(mine: Array, theirs: Array, axis: int = -1) -> Array:
    found: Array = mine.mean(axis=axis) / theirs.mean(axis=axis)
    return found


def _errors(quantity: str, outputs: Outputs, labels: Array) -> Array:
    """Each sample's mean error, (n,) float64."""
    check_outputs(outputs)
    values = np.asarray(labels, np.float64).reshape(len(labels), -1)
    if len(values) < 2:
        raise DataError(f"{quantity} needs at least 2 samples to give an interval")
    for array in outputs.values():
        if len(array) == len(values) and array.size == values.size:
            apart = np.asarray(array, np.float64).reshape(values.shape) - values
            _check_finite(apart)
            errors: Array = (np.square(apart) if quantity == "mse" else np.abs(apart)).mean(axis=1)
            return errors
    told = ", ".join(f"'{name}' {list(array.shape)}" for name, array in outputs.items())
    raise ModelError(
        f"no output has the shape of the labels, {list(labels.shape)}: {told}",
        hint="labels of classes must be whole numbers, not floats",
    )


def _check_finite(errors: Array) -> None:
    """Raise ModelError for an infinite error: labels are finite, so the output is not."""
    bad = ~np.isfinite(errors).all(axis=1)
    if bad.any():
        raise ModelError(f"the output is infinite for sample {int(np.argmax(bad))}, its label not")


def _made(
    quantity: str, value: float, unit: str, interval: tuple[float, float], n: int
) -> Measurement:
    low, high = interval
    return Measurement(
        quantity=quantity, value=value, unit=unit, low=low, high=high, n=n, protocol=PROTOCOL
    )
