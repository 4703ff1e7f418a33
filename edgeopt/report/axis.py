"""An axis of a plot: from values to places on a sheet, with ticks at round values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeopt.schema.measurement import figure


@dataclass(frozen=True)
class Axis:
    """A scale from values to the sheet, with ticks at round values."""

    title: str
    unit: str
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies; beyond the scale, its end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the scale."""
        return self.low <= value <= self.high

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places and texts, about five of them."""
        raw = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        values = [index * step for index in range(first, last + 1)]
        return [(self.at(value), self._text(value, step)) for value in values]

    def _text(self, value: float, step: float) -> str:
        if self.unit in ("pt", "fraction"):
            value, step = 100 * value, 100 * step
        if self.unit in ("bytes", "ms"):
            return figure(value, self.unit)
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        if not math.isclose(round(step, places), step, rel_tol=1e-6):
            places += 1
        sign = "+" if self.unit == "pt" and value > step / 2 else ""
        suffix = {"pt": " pt", "fraction": "%", "x": "x"}.get(self.unit, "")
        return f"{sign}{value + 0.0:.{places}f}{suffix}"
