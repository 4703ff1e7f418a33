"""torch -> torch: training with quantization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from edgeopt.by_hand import ByHand
from edgeopt.passes.qat_torch import Qat
from edgeopt.quantization.training import Schedule, quantization_trained
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext
from edgeopt.training import Samples, fit, samples_of, supervised, validation
from edgeopt.training.calls import called
from edgeopt.training.distillation_losses import distillation_loss, kind_of, known_answers, nearness
from edgeopt.training.losses import all_outputs, labels_fit
from edgeopt.training.objective import weights_digest


def change(step: Qat, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
    """The module on its trained grids. Raises PassError where it cannot be traced."""
    samples = {split: samples_of(ctx, split) for split in step.splits}
    inputs = {
        tensor.name: {"shape": list(tensor.shape), "dtype": tensor.dtype}
        for tensor in ctx.description.signature.inputs
    }
    scheme = "u8s8" if step.scheme == "auto" else step.scheme
    frozen, record = quantization_trained(
        model,
        inputs,
        scheme=scheme,
        float_stem=step.float_stem and scheme != "int8",
        learned=step.ranges == "learned",
        momentum=step.momentum_ranges,
        observed=_observed(step, samples["train"]),
        train=lambda module: _fit(step, module, samples, ctx),
    )
    return frozen, [record]


def _observed(step: Qat, samples: Samples) -> Iterator[Mapping[str, Any]]:
    count = max(step.batch, min(step.observe, len(samples)) // step.batch * step.batch)
    for start in range(0, count, step.batch):
        index = np.arange(start, start + step.batch) % len(samples)
        yield samples.take(index).inputs


def _fit(step: Qat, module: Any, samples: Mapping[str, Samples], ctx: PassContext) -> None:
    fit(
        module,
        samples["train"],
        _loss(step, module, samples["train"], ctx),
        step,
        seed=ctx.seed,
        progress=ctx.progress,
        checkpoints=ctx.checkpoints,
        mark=digest_of(
            [weights_digest(ctx.teacher()) if step.soft else "", samples["validation"].digest()]
        ),
        validate=_validation(step, module, samples["validation"], ctx),
        before_step=Schedule(step.freeze_norms, step.freeze_ranges),
    )


def _validation(step: Qat, module: Any, samples: Samples, ctx: PassContext) -> Any:
    """By labels that fit the answers, else by the source's answers."""
    if labels_fit(module, samples):
        return validation(samples)
    return nearness(ctx.teacher().eval(), samples, kind_of(samples))


def _loss(step: Qat, module: Any, samples: Samples, ctx: PassContext) -> Any:
    """What the source answers and the labels say. Raises PassError for other shapes."""
    usable = isinstance(ctx, ByHand) or not step.soft or labels_fit(module, samples)
    soft = step.soft if samples.targets and usable else 1.0
    if not soft:
        return supervised(step.label_smoothing)
    teacher = ctx.teacher().eval().requires_grad_(False)
    few = samples.take(np.arange(min(step.batch, len(samples)))).inputs
    with torch.no_grad():
        mine, theirs = (
            [t.shape[1:] for t in all_outputs(called(m, few))] for m in (module, teacher)
        )
    if mine != theirs:
        raise PassError(
            f"the source answers {[list(s) for s in theirs]}, the module {[list(s) for s in mine]}",
            hint="say 'soft: 0' to train on labels alone",
        )
    known = None if step.augmented else known_answers(teacher, samples, ctx.progress)
    return distillation_loss(
        teacher,
        kind=kind_of(samples),
        temperature=step.temperature,
        soft=soft,
        smoothing=step.label_smoothing,
        method="logits",
        weight=1.0,
        pairs=[],
        seed=ctx.seed,
        known=known,
    )
