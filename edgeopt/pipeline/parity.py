"""Whether an artifact answers on a device as it does on the host, output by output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgeopt.schema.measurement import Measurement
from edgeopt.schema.parity import Parity

if TYPE_CHECKING:
    import numpy as np

SAMPLES_MAX = 256  # of a split, the first: what is compared on every device


def compared(
    host: Mapping[str, np.ndarray],
    device: Mapping[str, np.ndarray],
    name: str,
    yardstick: str = "the host",
) -> Parity:
    """Parity of a device's outputs, (n, ...) each, with the first of the host's.

    The arg max is taken over the last axis of outputs that have classes there.
    """
    import numpy as np

    found = []
    for tensor, given in device.items():
        n = min(len(given), len(host[tensor]), SAMPLES_MAX)
        mine, theirs = host[tensor][:n], given[:n]
        off = np.abs(mine.astype(np.float64) - theirs.astype(np.float64))
        by_sample = off.reshape(n, -1).max(axis=1)
        flips = 0
        if theirs.ndim > 1 and theirs.shape[-1] > 1:
            flipped = mine.argmax(axis=-1) != theirs.argmax(axis=-1)
            flips = int(flipped.reshape(n, -1).any(axis=1).sum())
        sample = int(by_sample.argmax())
        parity = Parity(
            device=name,
            yardstick=yardstick,
            n=n,
            tensor=tensor,
            worst=float(by_sample[sample]),
            sample=sample,
            peak=float(np.abs(mine).max()),
            flips=flips,
        )
        found.append(parity)
    return max(found, key=lambda parity: (parity.flips, parity.worst / (parity.peak or 1.0)))


def labelled(measured: Mapping[str, Measurement], told: str) -> dict[str, Measurement]:
    """The same figures, their protocol saying where they come from."""
    return {
        quantity: m.model_copy(update={"protocol": f"{m.protocol}; {told}" if m.protocol else told})
        for quantity, m in measured.items()
    }
