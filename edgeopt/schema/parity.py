"""Whether an artifact answers on a device as it does elsewhere, as it stands in a result."""

from __future__ import annotations

from edgeopt.schema.base import Noun

TOLERANCE = 0.01  # of the output's greatest value: about one step of an INT8 output


class Parity(Noun):
    """The largest difference over all outputs, where it is, and how many arg maxes it flips.

    ``device`` is compared with ``yardstick`` on the same ``n`` samples; ``peak`` is the greatest
    absolute value of the output ``tensor`` by the yardstick, ``worst`` the largest difference
    and ``sample`` where it is. ``step`` is the distance of the grid of integers that the output's
    values lie on, 0 where they lie on none.
    """

    device: str
    yardstick: str = "the host"
    n: int
    tensor: str
    worst: float
    sample: int
    peak: float
    flips: int
    step: float = 0.0

    @property
    def holds(self) -> bool:
        """No value is further off than 1% of the greatest, and no arg max flips but near ties."""
        return self.flips == 0 and self.worst <= TOLERANCE * self.peak

    @property
    def agreeing(self) -> str:
        """How a figure came to be that was measured on the host for the device."""
        within = f"within {self.worst:.2g}" if self.worst else "to the bit"
        return f"measured on {self.yardstick}; {self.n} outputs on {self.device} agree {within}"

    @property
    def off(self) -> str:
        """How far off those are that hold."""
        if not self.worst:
            return "equal to the bit"
        steps = round(self.worst / self.step) if self.step else 0
        one = "one step of the integers behind it, as rounding leaves"
        grid = f"{one if steps == 1 else f'{steps} steps of the integers behind it'}, "
        return (
            f"at most {self.worst:.2g} off, {grid if steps else ''}"
            f"{self.worst / self.peak:.2g} of the largest value "
            f"({TOLERANCE:.0%} is allowed), no arg max flips but in near ties"
        )

    @property
    def sentence(self) -> str:
        """What was found, with the worst sample where it differs."""
        if self.holds:
            told = f"answers on {self.device} as on {self.yardstick}"
            return f"{told}: {self.off}, on {self.n} samples"
        return (
            f"answers differently on {self.device} than on {self.yardstick}: '{self.tensor}' is "
            f"off by up to {self.worst:.3g} of {self.peak:.3g} (sample {self.sample}), and "
            f"{self.flips} of {self.n} arg maxes flip"
        )
