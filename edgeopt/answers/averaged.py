"""A metric that is the mean of one value a sample: its figure, difference and ratio to the source.

For modules that measure a quantity (``schema.quantities``): they bind ``measure``, ``difference``
and ``ratio`` to those of an ``Averaged``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeopt.answers.outputs import Array
from edgeopt.schema.errors import DataError, ModelError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import declared
from edgeopt.stats.bootstrap import PROTOCOL, bootstrap_of_means

Values = Callable[[str, str, Array, Array], Array]


class Averaged:
    """``values(quantity, name, output, labels)`` gives (n,) float64; intervals are by bootstrap.

    ``name`` is the output's, for errors.
    """

    def __init__(self, values: Values) -> None:
        self._values = values

    def measure(self, quantity: str, name: str, output: Array, labels: Array) -> Measurement:
        """The mean. Raises DataError for a single sample, and what ``values`` raises."""
        mine = self._of(quantity, name, output, labels)
        unit = declared(quantity).unit
        return _made(
            quantity, float(mine.mean()), unit, bootstrap_of_means(np.asarray, mine), len(mine)
        )

    def difference(
        self, quantity: str, name: str, output: Array, source: Array, labels: Array
    ) -> Measurement:
        """Candidate minus source on the same samples."""
        mine, theirs = (self._of(quantity, name, each, labels) for each in (output, source))
        apart, unit = mine - theirs, declared(quantity).unit
        interval = bootstrap_of_means(np.asarray, apart)
        return _made(f"difference.{quantity}", float(apart.mean()), unit, interval, len(apart))

    def ratio(
        self, quantity: str, name: str, output: Array, source: Array, labels: Array
    ) -> Measurement:
        """Candidate over source on the same samples. Raises ModelError for a source at zero, now or
        in so many resamples that the ratio has no interval."""
        mine, theirs = (self._of(quantity, name, each, labels) for each in (output, source))
        if theirs.mean() <= 0:
            raise ModelError(f"{quantity} of the source is zero: no ratio to it")
        with np.errstate(divide="ignore", invalid="ignore"):
            interval = bootstrap_of_means(np.divide, mine, theirs)
        if not np.isfinite(interval).all():
            raise ModelError(f"{quantity} of the source is nearly zero: no ratio to it")
        return _made(
            f"ratio.{quantity}", float(mine.mean() / theirs.mean()), "x", interval, len(mine)
        )

    def _of(self, quantity: str, name: str, output: Array, labels: Array) -> Array:
        if len(labels) < 2:
            raise DataError(f"{quantity} needs at least 2 samples to give an interval")
        if len(output) != len(labels):
            raise DataError(f"output '{name}' has {len(output)} samples, its labels {len(labels)}")
        values = np.asarray(self._values(quantity, name, output, labels), np.float64)
        if values.shape != (len(labels),):
            raise ModelError(
                f"{quantity} of output '{name}' gives {list(values.shape)} values for "
                f"{len(labels)} samples",
                hint="a metric that is averaged gives one value for each sample",
            )
        bad = ~np.isfinite(values)
        if bad.any():
            raise ModelError(
                f"{quantity} of output '{name}' is not finite for sample {int(bad.argmax())}"
            )
        return values


def _over(mine: Array, theirs: Array, axis: int = -1) -> Array:
    quotient: Array = mine.mean(axis=axis) / theirs.mean(axis=axis)
    return quotient


def _made(
    quantity: str, value: float, unit: str, interval: tuple[float, float], n: int
) -> Measurement:
    low, high = interval
    return Measurement(
        quantity=quantity, value=value, unit=unit, low=low, high=high, n=n, protocol=PROTOCOL
    )
