"""Unstructured pruning of torch modules: single weights become zeros."""

from __future__ import annotations

from typing import Any

from edgeopt.passes.prune_unstructured_torch import PruneUnstructured
from edgeopt.pruning import zeros
from edgeopt.step import PassContext


def change(
    step: PruneUnstructured, model: Any, ctx: PassContext
) -> tuple[Any, list[dict[str, Any]]]:
    """The module itself with zeros in it; nothing to record, as shapes stay."""
    weights = zeros.weights_of(model, step.keep)
    if step.pattern is not None:
        axes = {path: zeros.inputs_axis(layer) for path, layer in model.named_modules()}
        masks = zeros.two_of_four(weights, axes)
    else:
        assert step.sparsity is not None
        masks = zeros.by_magnitude(weights, step.sparsity, step.scope == "global")
    zeros.check_none_empty(masks)
    zeros.apply(weights, masks)
    packed = zeros.compressed_bytes(model.state_dict().values())
    ctx.progress(1, 1, compressed_bytes=packed)
    return model, []
