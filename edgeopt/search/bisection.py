"""The smallest fraction that holds, found by bisection of its logarithm.

What holds at a fraction is taken to hold at every greater one. With noise that is not quite so:
then the answer is the smallest fraction that was seen to hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt


@dataclass
class Bisection:
    """Asks for fractions between ``low`` and ``high``, at most ``steps`` of them.

    ``high`` is taken to hold and ``low`` not to: neither is asked for. It ends early where the
    two have come within ``factor`` of each other.
    """

    low: float
    high: float = 1.0
    steps: int = 5
    factor: float = 1.1
    outcomes: dict[float, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high or self.steps < 1 or self.factor <= 1:
            raise ValueError("needs 0 < low < high, at least one step and a factor above 1")

    def ask(self) -> float | None:
        """The next fraction to try; None when there is no more to learn."""
        if len(self.outcomes) >= self.steps or self.high <= self.low * self.factor:
            return None
        return sqrt(self.low * self.high)

    def tell(self, fraction: float, holds: bool) -> None:
        """What became of a fraction. Raises ValueError for one outside the bounds."""
        if not self.low < fraction < self.high:
            raise ValueError(f"{fraction} is not between {self.low} and {self.high}")
        self.outcomes[fraction] = holds
        if holds:
            self.high = fraction
        else:
            self.low = fraction

    @property
    def smallest(self) -> float | None:
        """The smallest fraction that was told to hold, if any."""
        return min((x for x, holds in self.outcomes.items() if holds), default=None)


@dataclass
class Hopeless:
    """Tells early, from what the first part of training reached, that the whole will not do.

    ``gains`` are what students have gained from their first part to their end. One is hopeless
    that would miss the bound even with twice the greatest of them; without any, none is.
    """

    bound: float
    margin: float = 2.0
    gains: list[float] = field(default_factory=list)

    def learned(self, early: float, late: float) -> None:
        """A student that was trained to its end."""
        self.gains.append(late - early)

    def is_hopeless(self, early: float) -> bool:
        """Whether more training of a student is wasted; more is better."""
        return bool(self.gains) and early + self.margin * max(self.gains) < self.bound
