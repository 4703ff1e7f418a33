"""Unstructured pruning of torch modules while they train."""

from __future__ import annotations

from typing import Any

from edgeopt.passes.prune_gradual_torch import PruneGradual
from edgeopt.pruning import zeros
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext
from edgeopt.training import fit, samples_of, supervised, validation


def change(step: PruneGradual, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
    """The module trained, with zeros in it; nothing to record, as shapes stay."""
    train, held_out = (samples_of(ctx, split) for split in ("train", "validation"))
    if train.labels is None:
        raise PassError(f"{step.name} trains on labels, and the data has none")
    zeros.weights_of(model, step.keep)
    fit(
        model,
        train,
        supervised(smoothing=step.label_smoothing),
        step,
        seed=ctx.seed,
        progress=ctx.progress,
        checkpoints=ctx.checkpoints,
        validate=validation(held_out) if held_out.labels is not None else None,
        before_step=lambda module, number, total: _zeroed(step, module, number, total),
    )
    _zeroed(step, model, 1, 1)
    return model, []


def _zeroed(step: PruneGradual, module: Any, number: int, total: int) -> None:
    """Set to zero what the schedule asks for at a step: a function of weights and its number."""
    weights = zeros.weights_of(module, step.keep)
    sparsity = zeros.scheduled(step.sparsity, number / max(1.0, step.until * total))
    masks = zeros.by_magnitude(weights, sparsity, step.scope == "global")
    zeros.check_none_empty(masks)
    zeros.apply(weights, masks)
