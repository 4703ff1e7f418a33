"""What kind of layers hold most of a network's weights: which forms are worth trying follows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

CONVOLUTIONAL, RECURRENT, LINEAR = "convolutional", "recurrent", "linear"
STATES = ("weight_hh", "recurrent_kernel")  # in the names of weights that multiply a state
INPUTS = ("weight_ih",)
TABLES = ("embedding",)  # in the names of lookup tables, which multiply nothing


def most(counts: Iterable[tuple[str, int]]) -> str:
    """The kind with the most weights; empty where none has any."""
    summed: Counter[str] = Counter()
    for kind, count in counts:
        summed[kind] += count
    summed.pop("", None)
    return max(summed, key=lambda kind: summed[kind]) if summed else ""


def by_names(weights: Iterable[tuple[str, Sequence[int]]]) -> str:
    """The kind of a network by the names and sizes of its weights: three axes and more are those
    of convolutions, two those of matrix products."""
    listed = [(name, tuple(dims)) for name, dims in weights]
    cells = {name.rpartition("/")[0] for name, _ in listed if name.endswith(STATES[1])}
    return most((_kind(name, dims, cells), math.prod(dims)) for name, dims in listed)


def _kind(name: str, dims: tuple[int, ...], cells: set[str]) -> str:
    if len(dims) < 2 or any(word in name.lower() for word in TABLES):
        return ""
    if any(word in name for word in (*STATES, *INPUTS)) or name.rpartition("/")[0] in cells:
        return RECURRENT
    return CONVOLUTIONAL if len(dims) > 2 else LINEAR
