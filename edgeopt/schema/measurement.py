"""Measurements: a value with its unit, its interval and how it came to be."""

from __future__ import annotations

from edgeopt.schema.base import Noun


class Measurement(Noun):
    """One figure. ``low`` and ``high`` bound the 95% interval; None where it is exact.

    Units: ``fraction``, ``ms``, ``bytes``, ``dB``, ``x`` (a ratio to the reference), ``count``
    or empty. ``n`` counts what the interval is over (samples, processes); ``samples`` is the
    digest of the raw values in the store. ``machine`` names device, runtime and ISA.
    """

    quantity: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    n: int = 1
    protocol: str = ""
    machine: str = ""
    samples: str = ""
    marks: tuple[str, ...] = ()  # "contended", "wide": what to know before believing it

    @property
    def interval(self) -> tuple[float, float]:
        """(low, high); an exact figure is its own interval."""
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        return low, high
