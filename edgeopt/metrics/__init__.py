"""Figures from outputs: each with a 95% interval, its n, and the method by name.

Outputs are (n, ...) arrays by name, as a score keeps them; a new metric runs no model.
"""

from __future__ import annotations

from edgeopt.metrics import classification, fidelity
from edgeopt.metrics.outputs import Array, Outputs
from edgeopt.schema.constraint import quantity_unit
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.schema.measurement import Measurement

FIDELITY = ("fidelity.cosine", "fidelity.sqnr", "fidelity.agreement")


def default_metrics(labels_present: bool, n_classes: int) -> tuple[str, ...]:
    """What is measured where nobody says otherwise.

    With labels accuracy and macro F1, and top-5 for more than ten classes; fidelity always,
    agreement only where there are at least two classes.
    """
    labelled = ("accuracy", "macro_f1", *(("top5",) if n_classes > 10 else ()))
    near = FIDELITY if n_classes > 1 else FIDELITY[:2]
    return (*(labelled if labels_present else ()), *near)


def needs_labels(quantity: str) -> bool:
    """Whether a metric compares with labels. Raises UsageError for what is no metric."""
    quantity_unit(quantity)
    if quantity in FIDELITY:
        return False
    if quantity in ("accuracy", "macro_f1") or quantity.startswith("top"):
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
        return classification.measure(quantity, outputs, _given(quantity, labels))
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
    return classification.difference(
        _comparable(quantity), outputs, source_outputs, _given(quantity, labels)
    )


def ratio(
    quantity: str, outputs: Outputs, source_outputs: Outputs, labels: Array | None
) -> Measurement:
    """Candidate over source on the same samples, with a paired interval; raises alike."""
    return classification.ratio(
        _comparable(quantity), outputs, source_outputs, _given(quantity, labels)
    )


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
    return labels
