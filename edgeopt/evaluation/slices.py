"""One metric by class and by the values of metadata columns: where a model got worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np

from edgeopt.answers.labels import CLASSES, Labels, fit, form_of
from edgeopt.answers.outputs import Array, Outputs
from edgeopt.evaluation import compute, difference, needs_labels
from edgeopt.schema.errors import DataError, ModelError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import SliceFigure

CLASS = "class"
MOST_CLASSES = 100


def sliced(
    quantity: str,
    outputs: Outputs,
    source: Outputs,
    labels: Labels,
    columns: Mapping[str, Array],
) -> Iterator[SliceFigure]:
    """A figure for each class (where labels are classes, at most 100) and each column's value.

    Groups of fewer than two samples are left out.
    """
    grouped = {**_classes(source, labels), **columns}
    for column, values in grouped.items():
        for value in np.unique(values):
            rows = np.flatnonzero(values == value)
            with suppress(DataError, ModelError):  # too few samples for an interval
                figure, apart = _figures(quantity, outputs, source, labels, rows)
                yield SliceFigure(
                    column=column, value=str(value), n=len(rows), figure=figure, difference=apart
                )


def _classes(source: Outputs, labels: Labels) -> dict[str, Array]:
    """The classes of each output that has such labels, by what the column is called."""
    classes = {
        name: own.reshape(-1) for name, own in labels.items()
        if fit(form_of(own), form_of(source[name])) == CLASSES
        and len(np.unique(own)) <= MOST_CLASSES
    }  # fmt: skip
    return {CLASS if len(classes) == 1 else f"{CLASS}@{n}": own for n, own in classes.items()}


def as_text(encoded: Array) -> Array:
    """A column as text again: rows of UTF-8 bytes, padded with zeros."""
    width = encoded.shape[1]
    text: Array = np.char.decode(np.ascontiguousarray(encoded).view(f"S{width}")[:, 0], "utf-8")
    return text


def _figures(
    quantity: str, outputs: Outputs, source: Outputs, labels: Labels, rows: Array
) -> tuple[Measurement, Measurement | None]:
    mine, theirs = ({name: a[rows] for name, a in each.items()} for each in (outputs, source))
    own = {name: each[rows] for name, each in labels.items()}
    figure = compute(quantity, mine, own, theirs)
    if not needs_labels(quantity):
        return figure, None
    return figure, difference(quantity, mine, theirs, own)
