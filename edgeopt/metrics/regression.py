"""How far predicted values are from the true ones: mean squared and mean absolute error.

Errors are averaged over a sample's values first, then over samples; intervals are by a
bootstrap of the samples, of pairs where two models are compared. Both are in the labels' own
unit, squared for ``mse``.
"""

from __future__ import annotations

import numpy as np

from edgeopt.answers.averaged import Averaged
from edgeopt.answers.outputs import Array
from edgeopt.schema.errors import ModelError


def errors(quantity: str, name: str, output: Array, labels: Array) -> Array:
    """Each sample's mean error, (n,) float64.

    Raises ModelError, naming the output, where it has not the labels' shape or is infinite.
    """
    values = np.asarray(labels, np.float64).reshape(len(labels), -1)
    if output.size != values.size:
        raise ModelError(
            f"output '{name}' {list(output.shape)} does not have the shape of its labels, "
            f"{list(labels.shape)}",
            hint="labels of classes must be whole numbers, not floats",
        )
    apart = np.asarray(output, np.float64).reshape(values.shape) - values
    _check_finite(name, apart)
    each: Array = (np.square(apart) if quantity == "mse" else np.abs(apart)).mean(axis=1)
    return each


_mean = Averaged(errors)
measure, difference, ratio = _mean.measure, _mean.difference, _mean.ratio


def _check_finite(name: str, apart: Array) -> None:
    """Raise ModelError for an infinite error: labels are finite, so the output is not."""
    bad = ~np.isfinite(apart).all(axis=1)
    if bad.any():
        raise ModelError(
            f"output '{name}' is infinite for sample {int(np.argmax(bad))}, but its label is not"
        )
