"""Measurements: a value with its unit, its interval and how it came to be."""

from __future__ import annotations

import math
from typing import Literal

from edgeopt.schema.base import Noun

MOST_DIGITS = 5
NO_DIFFERENCE = {"x": 1.0, "pt": 0.0}  # unit -> what a ratio or a difference of nothing is
WIDE = 0.03  # half-width of a ratio's interval, in logarithms, from which on it is marked
MARKS = {  # what may be said of a figure, in words
    "fallback": "fallback: nodes did not run on the requested accelerator, as allowed",
    "contended": "contended: the threads leave no core for anything else",
    "throttled": "throttled: the device slowed down because of heat, and did not cool in time",
    "wide": "wide: the interval of a ratio is wider than 3% to each side, before rounding",
    "few": "few: too few inferences per process for one to lie above the percentile (p99 needs "
    "100), so it is about their maximum",
    "far": "far: more than 3 times the median, of the artifact or of the reference, which "
    "reflects other work on the machine more than the model",
    "peak-not-reset": "peak-not-reset: an earlier, higher peak of the process may count, too",
    "no-spread": "no-spread: no resample changes the figure, so its interval is a point",
}


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
    timed: int = 0  # inferences in each process that a time is of, at least; 0: not a time
    protocol: str = ""
    machine: str = ""
    samples: str = ""
    better: Literal["", "more", "less"] = ""  # empty: what is usual for the quantity
    where: str = ""  # the output, and group of its values, that it is of, where there are several
    marks: tuple[str, ...] = ()  # of MARKS

    @property
    def interval(self) -> tuple[float, float]:
        """(low, high); an exact figure is its own interval."""
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        return low, high


# Units shown at the size that suits the value: base unit -> (factor, name), small to large.
_STEPS: dict[str, tuple[tuple[float, str], ...]] = {
    "ms": ((1e-3, "us"), (1.0, "ms"), (1e3, "s")),
    "bytes": ((1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB")),
}


def figure(value: float, unit: str, digits: int = 3) -> str:
    """A value in base units as people read it: ``1.62 ms``, ``93.4%``, ``312 kB``, ``0.41x``.

    Beside the units of a Measurement, ``pt`` shows a difference of fractions in percentage
    points (``-0.31pt``). ``digits`` are the significant ones of times, sizes and ratios of 10
    and more; all else has decimals, as many more as there are more digits than usual.
    """
    if not math.isfinite(value):
        return str(value)
    if unit in _STEPS:
        return _scaled(value, unit, digits)
    if unit == "fraction":
        return f"{100 * value:.{max(digits - 2, 0)}f}%"
    if unit == "pt":
        text = f"{100 * value:.{max(digits - 1, 0)}f}"
        return f"{text if float(text) else text.removeprefix('-')}pt"  # no -0.00
    if unit == "x":
        return f"{_ratio(value, digits)}x"
    if unit == "count":
        return f"{_digits(value / 1e6, digits)} M" if abs(value) >= 1e6 else f"{value:,.0f}"
    if unit == "dB":
        return f"{value:.{max(digits - 2, 1)}f} dB"
    return f"{value:.{max(digits + 1, 4)}f}{unit and ' '}{unit}"


def usual_digits(unit: str) -> int:
    """How many digits a figure beside its interval has, where they tell its ends apart."""
    return 4 if unit == "fraction" else 3


def digits_apart(low: float, high: float, unit: str) -> int:
    """So many digits, up to 5, that the two ends of an interval read differently, and neither
    as no difference where it is one (1.004x as 1.00x); else as far as goes."""
    usual = usual_digits(unit)
    apart = [
        digits
        for digits in range(usual, MOST_DIGITS + 1)
        if figure(low, unit, digits) != figure(high, unit, digits)
    ]
    sides = (digits for digits in apart if _sides_told((low, high), unit, digits))
    return next(sides, apart[0] if apart else usual)


def _sides_told(ends: tuple[float, float], unit: str, digits: int) -> bool:
    none = NO_DIFFERENCE.get(unit)
    if none is None:
        return True
    level = figure(none, unit, digits)
    return all(end == none or figure(end, unit, digits) != level for end in ends)


def span(low: float, high: float, unit: str, digits: int = 3) -> str:
    """``-0.55 to -0.07pt``: an interval, the unit once where both ends share it."""
    first, last = figure(low, unit, digits), figure(high, unit, digits)
    suffix = last.lstrip("-0123456789.,")
    return f"{first.removesuffix(suffix) if suffix else first} to {last}"


def _ratio(value: float, digits: int) -> str:
    if value and abs(value) < 0.1:
        return _digits(value, max(digits - 1, 2))
    return f"{value:.{max(digits - 1, 0)}f}" if abs(value) < 10 else _digits(value, digits)


def _scaled(value: float, unit: str, digits: int) -> str:
    rounded = float(f"{value:.{digits}g}")
    if not rounded:
        return f"0 {'B' if unit == 'bytes' else unit}"
    fitting = [step for step in _STEPS[unit] if abs(rounded) >= step[0]]
    factor, name = fitting[-1] if fitting else _STEPS[unit][0]
    if name == "B":
        return f"{value:.0f} B"
    return f"{_digits(rounded / factor, digits)} {name}"


def _digits(value: float, digits: int) -> str:
    """``digits`` significant digits, never in scientific notation."""
    rounded = float(f"{value:.{digits}g}")
    places = digits - 1 - (math.floor(math.log10(abs(rounded))) if rounded else 0)
    return f"{rounded:.{max(places, 0)}f}"
