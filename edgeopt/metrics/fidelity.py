"""How near an output of a model is to the source's, on the same samples; no labels needed.

An output may hold values of several kinds, coordinates of hundreds of pixels beside scores below
one. A sum over all of them says nothing of the small ones. So values are centred by the source's
mean over samples and scaled by its spread, and each group of values with a range of its own is
judged by itself (``profile``); the figure is that of the worst group, which it names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeopt.answers.decisions import agreeing
from edgeopt.answers.outputs import Array, Outputs
from edgeopt.answers.parts import judged
from edgeopt.answers.profile import Profile
from edgeopt.answers.structure import shared
from edgeopt.answers.sums import Judged
from edgeopt.schema.errors import DataError
from edgeopt.schema.measurement import Measurement
from edgeopt.stats.bootstrap import PROTOCOL, bootstrap_of_means, holding
from edgeopt.stats.proportions import WILSON, wilson

CEILING_DB = 200.0  # beyond float32 and most of float64: where equal outputs would be infinite


def measure(quantity: str, name: str, mine: Array, theirs: Array, source: Profile) -> Measurement:
    """``fidelity.cosine``, ``fidelity.sqnr`` (dB) or ``fidelity.agreement`` of one output.

    ``mine`` and ``theirs`` are (n, ...), ``source`` the profile of ``theirs``. cosine: of the
    candidate's centred and scaled values and the source's, all samples together. sqnr: 10 log10 of
    the source's energy over that of the difference, of such values, within +-``CEILING_DB``.
    agreement: share of decisions that are the same (``decisions``).
    Raises DataError for a single sample, and for agreement of values that decide nothing.
    """
    if quantity == "fidelity.agreement":
        return _agreement(name, mine, theirs, source)
    if len(theirs) < 2:
        raise DataError(f"{quantity} needs at least 2 samples to give an interval")
    return _worst(quantity, list(judged(mine, theirs, source)), len(theirs))


def together(
    quantity: str, names: Sequence[str], mine: Outputs, theirs: Outputs
) -> Measurement | None:
    """``fidelity.cosine`` or ``.sqnr`` of what several outputs of one shape share, if an error is
    gathered there: the width between a lower and an upper bound, each an output."""
    errors = list(shared(*([each[name] for name in names] for each in (mine, theirs))))
    return _worst(quantity, errors, len(theirs[names[0]])) if errors else None


def _worst(quantity: str, parts: Sequence[Judged], n: int) -> Measurement:
    statistic = _cosine if quantity == "fidelity.cosine" else _sqnr
    values = [float(statistic(*each.sums)) for each in parts]
    worst = int(np.argmin(values))
    interval = holding(bootstrap_of_means(statistic, *parts[worst].rows()), values[worst])
    unit = "" if quantity == "fidelity.cosine" else "dB"
    return _made(quantity, values[worst], unit, interval, n, PROTOCOL, parts[worst].name)


def _made(
    quantity: str, value: float, unit: str, interval: tuple[float, float], n: int, protocol: str,
    where: str,
) -> Measurement:  # fmt: skip
    low, high = interval
    return Measurement(
        quantity=quantity, value=value, unit=unit, low=low, high=high, n=n, protocol=protocol,
        where=where,
    )  # fmt: skip


def _agreement(name: str, mine: Array, theirs: Array, source: Profile) -> Measurement:
    quantity, n = "fidelity.agreement", len(theirs)
    groups = list(agreeing(mine, theirs, source))
    if not groups:
        raise DataError(
            f"output '{name}' makes no decisions, so it has no agreement",
            hint="values that are neither scores of classes nor on both sides of a threshold are "
            "judged by fidelity.cosine or fidelity.sqnr",
        )
    group, rows = min(groups, key=lambda each: float(each[1].mean()))
    value = float(rows.mean())
    if set(np.unique(rows)) <= {0.0, 1.0}:
        interval, protocol = wilson(int(rows.sum()), n), WILSON
    else:
        interval, protocol = bootstrap_of_means(np.asarray, rows), PROTOCOL
    return _made(quantity, value, "fraction", interval, n, protocol, group)


def _cosine(energy: Array, noise: Array, own: Array, dot: Array) -> Array:
    """Two zero vectors are alike (1), one is like no other (0)."""
    norm = np.sqrt(energy) * np.sqrt(own)
    alike = np.where((energy == 0) & (own == 0), 1.0, 0.0)
    cosine = np.divide(dot, norm, out=np.array(alike, np.float64), where=norm > 0)
    exact = np.where(noise == 0, 1.0, cosine)
    clipped: Array = np.clip(exact, -1.0, 1.0)
    return clipped


def _sqnr(energy: Array, noise: Array, own: Array, dot: Array) -> Array:
    """Signal over noise in dB; equal outputs, silent ones included, are at the ceiling."""
    del own, dot
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10 * (np.log10(energy) - np.log10(noise))
    clipped: Array = np.clip(np.where(noise == 0, CEILING_DB, ratio), -CEILING_DB, CEILING_DB)
    return clipped
