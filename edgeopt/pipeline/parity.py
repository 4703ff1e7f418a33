"""Whether an artifact answers on a device as it does on the host, output by output."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeopt.schema.measurement import Measurement
from edgeopt.schema.parity import TOLERANCE, Parity

LARGEST = 3.4028235e38  # of float32
CODES, OFF_GRID = 2**16, 0.02  # most steps from 0, and how far float32 puts a value beside one
SAMPLES_MAX = 256  # of a split, the first: what is compared on every device


def compared(
    host: Mapping[str, np.ndarray],
    device: Mapping[str, np.ndarray],
    name: str,
    yardstick: str = "the host",
) -> Parity:
    """Parity of a device's outputs, (n, ...) each, with the first of the host's.

    The arg max is taken of outputs with scores of classes, (n, classes). One that flips counts
    unless it was a near tie: the two scores as far apart as is tolerated of each. Equal infinities
    are no difference; one that the other side has not is the largest that float32 holds.
    """
    parities = []
    for tensor, given in device.items():
        n = min(len(given), len(host[tensor]), SAMPLES_MAX)
        mine, theirs = host[tensor][:n], given[:n]
        by_sample = _off(mine, theirs).reshape(n, -1).max(axis=1, initial=0.0)
        peak = float(np.abs(mine[np.isfinite(mine)]).max(initial=0.0))
        flips = _flips(mine, theirs, 2 * TOLERANCE * peak) if theirs.ndim == 2 else 0
        sample = int(by_sample.argmax())
        parity = Parity(
            device=name,
            yardstick=yardstick,
            n=n,
            tensor=tensor,
            worst=float(by_sample[sample]),
            sample=sample,
            peak=peak,
            flips=flips,
            step=_step(mine),
        )
        parities.append(parity)
    return max(parities, key=lambda parity: (parity.flips, parity.worst / (parity.peak or 1.0)))


def _off(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """How far each value is off, float64."""
    a, b = mine.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(invalid="ignore"):
        off = np.where(a == b, 0.0, np.abs(a - b))
    return np.nan_to_num(off, nan=LARGEST, posinf=LARGEST)


def _step(values: np.ndarray) -> float:
    """The distance of the grid that values of any shape lie on; 0 where they lie on none."""
    known = np.unique(values[np.isfinite(values)].astype(np.float64))
    if len(known) < 3:
        return 0.0
    least = float(np.diff(known).min())
    codes = known / least
    off = np.abs(codes - np.round(codes)).max()
    return least if least > 0 and off < OFF_GRID and np.abs(codes).max() <= CODES else 0.0


def _flips(mine: np.ndarray, theirs: np.ndarray, near: float) -> int:
    """Samples of another arg max, (n, classes) each, that are no ties within ``near``."""
    if mine.shape[1] < 2:
        return 0
    rows = np.arange(len(mine))
    best, other = mine.argmax(axis=1), theirs.argmax(axis=1)
    with np.errstate(invalid="ignore"):  # two scores that are both masked
        margin = mine[rows, best].astype(np.float64) - mine[rows, other]
    return int(((best != other) & (margin > near)).sum())


def labelled(measured: Mapping[str, Measurement], origin: str) -> dict[str, Measurement]:
    """The same figures, their protocol saying where they come from."""
    return {
        quantity: m.model_copy(
            update={"protocol": f"{m.protocol}; {origin}" if m.protocol else origin}
        )
        for quantity, m in measured.items()
    }
