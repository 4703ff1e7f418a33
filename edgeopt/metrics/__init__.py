"""Figures from outputs: each with a 95% interval, its n, and the method by name.

Outputs are (n, ...) arrays by name, as a score keeps them; a new metric runs no model.
"""

from __future__ import annotations

from typing import Any

from edgeopt.metrics import classification, custom, fidelity, regression
from edgeopt.metrics.outputs import Array, Outputs
from edgeopt.schema.constraint import quantity_unit
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.schema.measurement import Measurement

__all__ = [
    "FIDELITY", "compute", "custom", "default_metrics", "difference", "needs_labels", "ratio",
]  # fmt: skip

FIDELITY = ("fidelity.cosine", "fidelity.sqnr", "fidelity.agreement")


def default_metrics(labels: Array | None, n_classes: int) -> tuple[str, ...]:
    """What is measured where nobody says otherwise.

    With class labels accuracy and macro F1, and top-5 for more than ten classes; with float
    labels the errors; fidelity always, agreement only where there are at least two classes.
    """
    near = FIDELITY if n_classes > 1 else FIDELITY[:2]
    if labels is None:
        return near
    if labels.dtype.kind == "f":
        return (*regression.QUANTITIES, *near)
    return ("accuracy", "macro_f1", *(("top5",) if n_classes > 10 else ()), *near)


def needs_labels(quantity: str) -> bool:
    """Whether a metric compares with labels. Raises UsageError for what is no metric."""
    quantity_unit(quantity)
    if quantity in FIDELITY:
        return False
    if quantity in ("accuracy", "macro_f1", *regression.QUANTITIES) or quantity.startswith("top"):
        return True
    raise UsageError(f"'{quantity}' is no metric of outputs: it is measured by a race")


def compute(
    quantity: str,
    outputs: Outputs,
    labels: Array | None = None,
    source_outputs: Outputs | None = None,
) -> Measurement:
    """One metric of one model's outputs; fidelity is against ``source_outputs``.

    Raises UsageError for what is no metric or lacks its source, DataError for labels that are
    missing or out of range (naming the sample), ModelError for outputs that are not finite
    or of the wrong form (naming tensor and sample).
    """
    if needs_labels(quantity):
        found: Measurement = _kind(quantity).measure(quantity, outputs, _given(quantity, labels))
        return found
    if source_outputs is None:
        raise UsageError(f"{quantity} needs the source's outputs")
    return fidelity.measure(quantity, outputs, source_outputs)


def difference(
    quantity: str, outputs: Outputs, source_outputs: Outputs, labels: Array | None
) -> Measurement:
    """Candidate minus source on the same samples, with a paired interval.

    Raises as ``compute`` does, and UsageError for fidelity, which is against the source as
    it is.
    """
    given = (_comparable(quantity), outputs, source_outputs, _given(quantity, labels))
    found: Measurement = _kind(quantity).difference(*given)
    return found


def ratio(
    quantity: str, outputs: Outputs, source_outputs: Outputs, labels: Array | None
) -> Measurement:
    """Candidate over source on the same samples, with a paired interval; raises alike."""
    given = (_comparable(quantity), outputs, source_outputs, _given(quantity, labels))
    found: Measurement = _kind(quantity).ratio(*given)
    return found


def _kind(quantity: str) -> Any:
    return regression if quantity in regression.QUANTITIES else classification


def _comparable(quantity: str) -> str:
    if needs_labels(quantity):
        return quantity
    raise UsageError(
        f"{quantity} is against the source as it is",
        hint=f"bound it by a number, e.g. '{quantity} >= 0.99'",
    )


def _given(quantity: str, labels: Array | None) -> Array:
    if labels is None:
        raise DataError(f"{quantity} needs labels", hint="name the label array under data.label")
    wants_values = quantity in regression.QUANTITIES
    if wants_values != (labels.dtype.kind == "f"):
        wanted = "float values to predict" if wants_values else "class labels (whole numbers)"
        raise DataError(f"{quantity} needs {wanted}; the labels are {labels.dtype}")
    return labels
