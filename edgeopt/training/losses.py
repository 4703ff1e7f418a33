"""Losses on labels, and how far a module is on a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from edgeopt.formats.torch.module import named_outputs
from edgeopt.schema.errors import PassError
from edgeopt.training.calls import asked
from edgeopt.training.loop import Score
from edgeopt.training.samples import Batch, Samples

STEP = 500  # samples a forward pass of validation


def all_outputs(returned: Any) -> list[Any]:
    """The tensors that a module gives, in its order. Raises ModelError for anything else."""
    return list(named_outputs(returned, "").values())


def label_loss(outputs: Any, labels: Any, smoothing: float = 0.0) -> Any:
    """Cross-entropy of (b, classes, ...) scores for whole labels (b, ...), else the mean square
    error, where both shapes are one but for axes of size 1.

    Raises PassError where shapes do not fit, or a class has no score.
    """
    outputs = outputs.float()
    if labels.is_floating_point():
        if _long_axes(outputs) != _long_axes(labels):
            raise PassError(
                f"outputs are {list(outputs.shape)}, values to predict are {list(labels.shape)}"
            )
        return functional.mse_loss(outputs.reshape(labels.shape), labels)
    if outputs.ndim < 2:
        raise PassError(f"class labels need (batch, classes) scores, not {list(outputs.shape)}")
    wanted = [len(outputs), *outputs.shape[2:]]
    if list(labels.shape) != wanted:
        each = "place" if wanted[1:] else "sample"
        raise PassError(
            f"class labels are one number a {each} of {list(outputs.shape)} scores: {wanted}, "
            f"not {list(labels.shape)}"
        )
    for label in (int(labels.min()), int(labels.max())):
        if not 0 <= label < outputs.shape[1]:
            raise PassError(f"label {label} has no score: {outputs.shape[1]} classes")
    return functional.cross_entropy(outputs, labels, label_smoothing=smoothing)


def targets_loss(outputs: Sequence[Any], batch: Batch, smoothing: float = 0.0) -> Any:
    """The mean of ``label_loss`` over the outputs that have labels. Raises PassError."""
    gaps = [label_loss(outputs[t.position], t.labels, smoothing) for t in batch.targets]
    return sum(gaps) / len(gaps)


def accuracies_of(outputs: Sequence[Any], batch: Batch) -> dict[str, float]:
    """``accuracy_of`` the first output that has class labels."""
    accuracies = (accuracy_of(outputs[t.position], t.labels) for t in batch.targets)
    return next((each for each in accuracies if each), {})


def _long_axes(tensor: Any) -> list[int]:
    return [size for size in tensor.shape if size != 1]


def labels_fit(module: Any, samples: Samples) -> bool:
    """Whether ``label_loss`` can compare what a module in evaluation mode answers with labels."""
    if not samples.targets:
        return False
    rows = []
    for target in samples.targets:
        flat = target.labels.reshape(len(samples), -1)
        rows += [flat.min(1).argmin(), flat.max(1).argmax()]
    batch = samples.take(np.array(rows))
    with torch.no_grad():
        try:
            targets_loss(all_outputs(asked(module, batch.inputs)), batch)
        except PassError:
            return False
    return True


def supervised(smoothing: float = 0.0) -> Callable[[Any, Batch], Any]:
    """The loss of plain training on labels, with accuracy as a figure. Raises PassError."""

    def loss(module: Any, batch: Batch) -> Any:
        if batch.labels is None:
            raise PassError("training needs labels and the data has none", hint="Name data.label.")
        outputs = all_outputs(module(**batch.inputs))
        return targets_loss(outputs, batch, smoothing), accuracies_of(outputs, batch)

    return loss


def accuracy_of(outputs: Any, labels: Any) -> dict[str, float]:
    """``accuracy`` of a batch in [0, 1], where labels are classes of the first axis after it."""
    if labels is None or labels.is_floating_point():
        return {}
    if outputs.shape[:1] + outputs.shape[2:] != labels.shape:
        return {}
    return {"accuracy": float((outputs.detach().argmax(1) == labels).float().mean())}


def validation(samples: Samples) -> Callable[[Any], Score]:
    """A ``validate`` for ``fit``: accuracy on classes, else the mean square error.

    Of several labelled outputs the mean accuracy, or, with values among them, the mean loss.
    Raises PassError where there are no labels.
    """
    if samples.labels is None:
        raise PassError("validation needs labels and the data has none", hint="Name data.label.")

    def validate(module: Any) -> Score:
        device = next(module.parameters()).device
        sums = {"loss": 0.0, "accuracy": 0.0}
        with torch.inference_mode():
            for start in range(0, len(samples), STEP):
                index = np.arange(start, min(start + STEP, len(samples)))
                batch = samples.take(index).to(device)
                outputs = all_outputs(module(**batch.inputs))
                share = len(index) / len(samples)
                sums["loss"] += share * float(targets_loss(outputs, batch))
                right = [accuracy_of(outputs[t.position], t.labels).get("accuracy", 0.0)
                         for t in batch.targets]  # fmt: skip
                sums["accuracy"] += share * sum(right) / len(right)
        if samples.classes:
            return Score(sums["accuracy"], True, {"validation_accuracy": sums["accuracy"]})
        return Score(sums["loss"], False, {"validation_loss": sums["loss"]})

    return validate
