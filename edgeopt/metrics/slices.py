"""One metric by class and by the values of metadata columns: where a model got worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np

from edgeopt.metrics import FIDELITY, compute, difference
from edgeopt.metrics.outputs import Array, Outputs
from edgeopt.schema.errors import DataError, ModelError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import SliceFigure

CLASS = "class"
MOST_CLASSES = 100


def sliced(
    quantity: str,
    outputs: Outputs,
    source: Outputs,
    labels: Array | None,
    columns: Mapping[str, Array],
) -> Iterator[SliceFigure]:
    """A figure for each class (where labels are classes, at most 100) and each column's value.

    Groups of fewer than two samples are left out.
    """
    grouped = dict(columns)
    if labels is not None and labels.dtype.kind in "iu" and len(np.unique(labels)) <= MOST_CLASSES:
        grouped = {CLASS: labels, **grouped}
    for column, values in grouped.items():
        for value in np.unique(values):
            rows = np.flatnonzero(values == value)
            with suppress(DataError, ModelError):  # too few samples for an interval
                figure, apart = _figures(quantity, outputs, source, labels, rows)
                yield SliceFigure(
                    column=column, value=str(value), n=len(rows), figure=figure, difference=apart
                )


def as_text(encoded: Array) -> Array:
    """A column as text again: rows of UTF-8 bytes, padded with zeros."""
    width = encoded.shape[1]
    found: Array = np.char.decode(np.ascontiguousarray(encoded).view(f"S{width}")[:, 0], "utf-8")
    return found


def _figures(
    quantity: str, outputs: Outputs, source: Outputs, labels: Array | None, rows: Array
) -> tuple[Measurement, Measurement | None]:
    mine, theirs = ({name: a[rows] for name, a in each.items()} for each in (outputs, source))
    own = None if labels is None else labels[rows]
    figure = compute(quantity, mine, own, theirs)
    if quantity in FIDELITY or own is None:
        return figure, None
    return figure, difference(quantity, mine, theirs, own)
