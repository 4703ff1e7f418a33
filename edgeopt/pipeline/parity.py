"""Whether an artifact answers on a device as it does on the host, output by output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeopt.schema.measurement import Measurement

if TYPE_CHECKING:
    import numpy as np

TOLERANCE = 0.01  # of the output's greatest value: about one step of an INT8 output


@dataclass(frozen=True)
class Parity:
    """The largest difference over all outputs, where it is, and how many arg maxes it flips.

    ``peak`` is the greatest absolute value of that output on the host.
    """

    n: int
    tensor: str
    worst: float
    sample: int
    peak: float
    flips: int

    @property
    def holds(self) -> bool:
        """No arg max flips and no value is further off than 1% of the greatest."""
        return self.flips == 0 and self.worst <= TOLERANCE * self.peak

    def agreeing(self, device: str) -> str:
        """How a figure came to be that was measured on the host for the device."""
        within = f"within {self.worst:.2g}" if self.worst else "to the bit"
        return f"measured on the host; {self.n} outputs on {device} agree {within}"

    def finding(self, device: str) -> str:
        """What is wrong, with the worst sample."""
        return (
            f"answers otherwise on {device} than on the host: '{self.tensor}' is off by up to "
            f"{self.worst:.3g} of {self.peak:.3g} (sample {self.sample}), and {self.flips} of "
            f"{self.n} arg maxes flip; its quality is that of those {self.n} samples there"
        )


def compared(host: Mapping[str, np.ndarray], device: Mapping[str, np.ndarray]) -> Parity:
    """Parity of the device's outputs, (n, ...) each, with the host's first n.

    The arg max is taken over the last axis of outputs that have classes there.
    """
    import numpy as np

    found = []
    for name, theirs in device.items():
        mine = host[name][: len(theirs)]
        off = np.abs(mine.astype(np.float64) - theirs.astype(np.float64))
        by_sample = off.reshape(len(off), -1).max(axis=1)
        flips = 0
        if theirs.ndim > 1 and theirs.shape[-1] > 1:
            flipped = mine.argmax(axis=-1) != theirs.argmax(axis=-1)
            flips = int(flipped.reshape(len(off), -1).any(axis=1).sum())
        sample = int(by_sample.argmax())
        found.append(
            Parity(len(off), name, float(by_sample[sample]), sample, float(np.abs(mine).max()),
                   flips)
        )  # fmt: skip
    worst = max(found, key=lambda parity: (parity.flips, parity.worst / (parity.peak or 1.0)))
    return worst


def labelled(measured: Mapping[str, Measurement], told: str) -> dict[str, Measurement]:
    """The same figures, their protocol saying where they come from."""
    return {
        quantity: m.model_copy(update={"protocol": f"{m.protocol}; {told}" if m.protocol else told})
        for quantity, m in measured.items()
    }
