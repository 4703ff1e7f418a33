"""Structured pruning of torch modules: whole channels and attention heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from edgeopt.agent.feeds import as_fed
from edgeopt.by_hand import ByHand
from edgeopt.passes.prune_structured_torch import PruneStructured
from edgeopt.pruning.by_speed import fraction_for
from edgeopt.pruning.prune import Goal, How, prune
from edgeopt.schema.errors import DataError, PassError
from edgeopt.step import PassContext
from edgeopt.training.samples import targets_of

BATCH = 32


def change(step: PruneStructured, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
    """A pruned copy and its records."""
    if step.macs == "smallest" or (step.speedup and not isinstance(ctx, ByHand)):
        raise PassError(
            f"{step.label} is found by measuring, in a whole run",
            hint="Run it with edgeopt.optimize, or name the fraction of macs to keep.",
        )
    if step.speedup:
        return _sped_up(step, model, ctx)
    fraction = step.macs or step.parameters or 1.0
    quantity: Any = None if step.ratio is not None else "macs" if step.macs else "parameters"
    done = prune(
        model,
        _batches(step, ctx),
        Goal(quantity, fraction, step.ratio),
        How(step.importance, step.spread, step.round_to, step.keep),
        ctx.seed,
        ctx.progress,
    )
    ctx.found = done.report(model)
    ctx.progress(1, 1, macs=done.after.macs, parameters=done.after.parameters)
    return done.module, done.records


def _sped_up(
    step: PruneStructured, model: Any, ctx: PassContext
) -> tuple[Any, list[dict[str, Any]]]:
    """The widest pruned copy that is measured to be fast enough on this machine."""

    def closed(fraction: float) -> PruneStructured:
        return step.model_copy(update={"speedup": None, "macs": fraction})

    assert step.speedup is not None
    fraction = fraction_for(
        float(step.speedup.removesuffix("x")),
        model,
        lambda kept: closed(kept).change(model, ctx)[0],
        _batches(step, ctx)[0][0],
        ctx.progress,
    )
    return closed(fraction).change(model, ctx)


def _batches(step: PruneStructured, ctx: PassContext) -> list[Any]:
    """The first samples, in batches of at most 32 or of the model's fixed size."""
    arrays, signature = ctx.data("calibration"), ctx.description.signature
    labels = {target.position: target.labels for target in targets_of(ctx, "calibration")}
    for tensor in signature.inputs:
        if tensor.name not in arrays:
            raise DataError(f"no calibration data for the model's input '{tensor.name}'")
    fixed = signature.batch_of(ctx.axes)
    size = fixed or BATCH
    count = min(step.samples, *(len(arrays[t.name]) for t in signature.inputs))
    if count < (fixed or 1):
        raise DataError(f"too few calibration samples: the model takes {size} at a time")

    def rows(array: Any, start: int) -> Any:
        stop = min(start + size, count) if not fixed else start + size
        return np.array(array[start:stop])

    def fed(start: int) -> dict[str, torch.Tensor]:
        batch = {t.name: rows(arrays[t.name], start) for t in signature.inputs}
        return {name: torch.from_numpy(each) for name, each in as_fed(batch, ctx.axes).items()}

    last = count if not fixed else count // size * size
    return [
        (
            fed(start),
            {at: torch.from_numpy(rows(array, start)) for at, array in labels.items()},
        )
        for start in range(0, last, size)
    ]
