"""How near a model's outputs are to the source's, on the same samples; no labels needed.

All outputs of a sample count, laid side by side.
"""

from __future__ import annotations

import numpy as np

from edgeopt.metrics.outputs import Array, Outputs, blocks, paired
from edgeopt.schema.errors import DataError
from edgeopt.schema.measurement import Measurement
from edgeopt.stats.bootstrap import PROTOCOL, bootstrap
from edgeopt.stats.proportions import WILSON, wilson

CEILING_DB = 200.0  # beyond float32 and most of float64: where equal outputs would be infinite


def measure(quantity: str, outputs: Outputs, source: Outputs) -> Measurement:
    """``fidelity.cosine``, ``fidelity.sqnr`` (dB) or ``fidelity.agreement`` (fraction).

    cosine: mean over samples of the cosine between both outputs. sqnr: 10 log10 of the
    source's energy over that of the difference, over all samples at once, within
    +-``CEILING_DB``. agreement: share of samples whose largest element stands at the same
    place in every output; for class scores, whose top class is the same.
    Raises ModelError for outputs that do not match, DataError for a single sample.
    """
    pairs = paired(outputs, source)
    n = len(pairs[0][1])
    if quantity == "fidelity.agreement":
        same = int(_agree(pairs).sum())
        low, high = wilson(same, n)
        return _made(quantity, same / n, "fraction", (low, high), n, WILSON)
    if n < 2:
        raise DataError(f"{quantity} needs at least 2 samples to give an interval")
    energy, noise, mine, dot = _energies(pairs)
    if quantity == "fidelity.cosine":
        cosine = _cosine(energy, mine, dot)
        return _made(quantity, float(cosine.mean()), "", bootstrap(np.mean, cosine), n, PROTOCOL)
    value = float(_sqnr(energy, noise))
    return _made(quantity, value, "dB", bootstrap(_sqnr, energy, noise), n, PROTOCOL)


def _made(
    quantity: str, value: float, unit: str, interval: tuple[float, float], n: int, protocol: str
) -> Measurement:
    low, high = interval
    return Measurement(
        quantity=quantity, value=value, unit=unit, low=low, high=high, n=n, protocol=protocol
    )


def _agree(pairs: list[tuple[str, Array, Array]]) -> Array:
    same = np.ones(len(pairs[0][1]), bool)
    for _, mine, theirs in pairs:
        for block in blocks(mine):
            a, b = (np.asarray(x[block]).reshape(len(x[block]), -1) for x in (mine, theirs))
            same[block] &= a.argmax(axis=1) == b.argmax(axis=1)
    return same


def _energies(pairs: list[tuple[str, Array, Array]]) -> tuple[Array, Array, Array, Array]:
    """Sums over each sample's elements, (n,) each: s^2, (s - c)^2, c^2 and s c."""
    sums = np.zeros((4, len(pairs[0][1])))
    for _, mine, theirs in pairs:
        for block in blocks(mine):
            c, s = (
                np.asarray(x[block], np.float64).reshape(len(x[block]), -1) for x in (mine, theirs)
            )
            for row, (a, b) in enumerate(((s, s), (s - c, s - c), (c, c), (s, c))):
                sums[row, block] += np.einsum("ij,ij->i", a, b)
    energy, noise, own, dot = sums
    return energy, noise, own, dot


def _cosine(energy: Array, mine: Array, dot: Array) -> Array:
    """Cosine of each sample; two zero vectors are alike (1), one is like no other (0)."""
    norm = np.sqrt(energy) * np.sqrt(mine)
    cosine = np.divide(dot, norm, out=np.zeros(len(dot)), where=norm > 0)
    cosine[(energy == 0) & (mine == 0)] = 1.0
    clipped: Array = np.clip(cosine, -1.0, 1.0)
    return clipped


def _sqnr(energy: Array, noise: Array, axis: int = -1) -> Array:
    """Signal over noise in dB; equal outputs, silent ones included, are at the ceiling."""
    signal, wrong = energy.sum(axis=axis), noise.sum(axis=axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10 * (np.log10(signal) - np.log10(wrong))
    clipped: Array = np.clip(np.where(wrong == 0, CEILING_DB, ratio), -CEILING_DB, CEILING_DB)
    return clipped
