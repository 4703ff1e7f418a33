"""torch -> torch: a student learns what a teacher knows."""

from __future__ import annotations

import copy
import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeopt.by_hand import ByHand
from edgeopt.formats import format_named
from edgeopt.formats.torch import code, weights
from edgeopt.formats.torch.format import WEIGHTS
from edgeopt.passes.distill_torch import Distill
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext
from edgeopt.training import Batch, Samples, Score, fit, samples_of, validation
from edgeopt.training.calls import called
from edgeopt.training.distillation_losses import (
    Kind,
    distillation_loss,
    kind_of,
    known_answers,
    nearness,
)
from edgeopt.training.layers import pairs_of
from edgeopt.training.losses import all_outputs, labels_fit
from edgeopt.training.objective import lay_out, weights_digest


def run(step: Distill, model: Any, ctx: PassContext) -> Path:
    """Train a factory's student and write it."""
    student, folder = _built(step, ctx)
    _train(step, student, model, ctx)
    weights.write_state(student, folder / WEIGHTS)
    return folder


def change(step: Distill, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
    """The module, or the student's factory's, trained; no surgery."""
    student = model if step.student is None else _built(step, ctx)[0]
    _train(step, student, model, ctx)
    return student, []


def _built(step: Distill, ctx: PassContext) -> tuple[Any, Path]:
    """The student with fresh weights, and its artifact's folder. Raises ModelError."""
    assert step.student is not None
    root, placed = ctx.code(step.student)
    folder = ctx.workdir / "student"
    folder.mkdir()
    samples = {
        tensor.name: {
            "shape": tensor.shape[1:],
            "dtype": tensor.dtype,
            "layout": tensor.layout,
            **({} if tensor.shape else {"constant": 1}),
        }
        for tensor in ctx.description.signature.inputs
    }
    format_named("torch").gather({"factory": placed}, root, folder, samples)
    file, _, name = placed.rpartition(":")
    return code.build(folder / "code", file, name, seed=ctx.seed), folder


def _train(step: Distill, student: Any, parent: Any, ctx: PassContext) -> None:
    samples = {split: samples_of(ctx, split) for split in ("train", "validation")}
    teacher = ctx.teacher() if step.teacher == "source" else copy.deepcopy(parent)
    teacher.eval().requires_grad_(False)
    lay_out(teacher, samples["train"])
    student.eval()  # what is tried on it must not move its statistics
    kind = kind_of(samples["train"]) if step.outputs == "auto" else step.outputs
    own = _own(step, teacher, ctx)
    if own is None:
        _check_taught(step, ctx)
        _check_outputs(student, teacher, samples["train"])
    fit(
        student,
        samples["train"],
        own or _loss(step, student, teacher, samples["train"], kind, ctx),
        step,
        seed=ctx.seed,
        progress=ctx.progress,
        checkpoints=ctx.checkpoints,
        mark=digest_of(
            [weights_digest(teacher), samples["validation"].digest(), _step_source(step, ctx)]
        ),
        validate=_validation(step, student, teacher, samples["validation"], kind, own),
    )


def _own(step: Distill, teacher: Any, ctx: PassContext) -> Any:
    """The user's own step as a loss, or None."""
    if isinstance(ctx, ByHand) and ctx.training_step:
        return _own_step("training_step", ctx.training_step, teacher)
    if step.training_step:
        return _own_step(step.training_step, _function(step.training_step, ctx), teacher)
    return None


def _validation(
    step: Distill, student: Any, teacher: Any, samples: Samples, kind: Kind, own: Any
) -> Any:
    """By labels that fit the answers, else by the user's own loss or the teacher's answers."""
    if kind != "embedding" and labels_fit(student, samples):
        return validation(samples)
    return _by_own_step(own, samples, step.batch) if own else nearness(teacher, samples, kind)


def _taught_by_labels(step: Distill, student: Any, samples: Samples, ctx: PassContext) -> bool:
    """Whether labels count. A recipe's may be for a metric of its own: where no loss fits them
    the teacher alone teaches, and that is told. By hand they were given for this: an error."""
    if step.soft == 0 or isinstance(ctx, ByHand) or labels_fit(student, samples):
        return True
    ctx.found["labels"] = "not used: they do not fit the outputs; the teacher alone taught"
    return False


def _step_source(step: Distill, ctx: PassContext) -> str:
    """The text of the user's own training step; of no other use than to tell steps apart."""
    own = ctx.training_step if isinstance(ctx, ByHand) else None
    if own is None and step.training_step:
        own = _function(step.training_step, ctx)
    try:
        return "" if own is None else inspect.getsource(own)
    except (OSError, TypeError):  # typed at a prompt, or an object that is called
        return str(getattr(own, "__qualname__", type(own).__qualname__))


def _loss(
    step: Distill, student: Any, teacher: Any, samples: Samples, kind: Kind, ctx: PassContext
) -> Any:
    few = samples.take(np.arange(min(2, len(samples)))).inputs
    axes = 3 if step.method == "attention" else 2
    pairs = pairs_of(student, teacher, few, step.layers, axes) if step.method != "logits" else []
    known = None
    if not (step.augmented or pairs):
        known = known_answers(teacher, samples, ctx.progress)
    nameless = kind == "embedding" and samples.classes  # who it is, not where it lies
    alone = not samples.targets or nameless or not _taught_by_labels(step, student, samples, ctx)
    return distillation_loss(
        teacher,
        kind=kind,
        temperature=step.temperature,
        soft=1.0 if alone else step.soft,
        smoothing=step.label_smoothing,
        method=step.method,
        weight=step.weight,
        pairs=pairs,
        seed=ctx.seed,
        known=known,
    )


def _check_taught(step: Distill, ctx: PassContext) -> None:
    """Raise PassError where, by hand, the network so far would be its own teacher unasked."""
    if not isinstance(ctx, ByHand):
        return
    if ctx.taught and step.teacher == "parent":
        raise PassError("'teacher: parent' and a teacher were given", hint="Give one of them.")
    needed = step.soft > 0 or step.method != "logits"
    if not ctx.taught and needed and step.teacher == "source" and step.student is None:
        raise PassError(
            "no teacher was given: the network would learn from itself",
            hint="Give teacher=the network before it was pruned, or say Distill(teacher='parent').",
        )


def _check_outputs(student: Any, teacher: Any, samples: Samples) -> None:
    """Raise PassError where the two do not answer in one shape."""
    inputs = samples.take(np.arange(min(2, len(samples)))).inputs
    with torch.no_grad():
        mine, theirs = (
            [list(out.shape[1:]) for out in all_outputs(called(m, inputs))]
            for m in (student, teacher)
        )
    if mine == theirs:
        return
    if len(mine) == len(theirs) == len(mine[0]) == len(theirs[0]) == 1:
        said = f"with {theirs[0][0]} classes, the student with {mine[0][0]}"
    else:
        said = f"{theirs}, the student {mine}"
    hint = "Give a student whose outputs have the teacher's shapes."
    raise PassError(f"the teacher answers {said}", hint=hint)


def _function(named: str, ctx: PassContext) -> Callable[..., Any]:
    """The user's function. Raises ModelError for one that is not there."""
    root, placed = ctx.code(named)
    file, _, name = placed.rpartition(":")
    return code.function_of(root, file, name)


def _own_step(named: str, function: Callable[..., Any], teacher: Any) -> Any:
    """The user's step as a loss."""

    def loss(module: Any, batch: Batch) -> Any:
        device = next(iter(batch.inputs.values())).device
        try:
            returned = function(module, teacher.to(device), batch.inputs, batch.given_labels)
        except Exception as error:  # the user's own code may raise anything
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise PassError(
                f"{named} failed: {type(error).__name__}: {error}",
                where=f"{last.filename}:{last.lineno}",
            ) from error
        first = returned[0] if isinstance(returned, tuple) else returned
        trains = getattr(first, "requires_grad", False) or not torch.is_grad_enabled()
        if not isinstance(first, torch.Tensor) or first.numel() != 1 or not trains:
            raise PassError(
                f"{named} must give a scalar tensor to lower, or that and figures",
                hint="It gave a tensor without gradients or of several values, or no tensor.",
            )
        return returned

    return loss


def _by_own_step(loss: Any, samples: Samples, batch: int) -> Any:
    """A ``validate`` for ``fit``: the mean of the user's own loss."""

    def validate(module: Any) -> Score:
        device = next(module.parameters()).device
        total = 0.0
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for start in range(0, len(samples), batch):
                index = np.arange(start, min(start + batch, len(samples)))
                returned = loss(module, samples.take(index).to(device))
                value = returned[0] if isinstance(returned, tuple) else returned
                total += float(value) * len(index)
        mean = total / len(samples)
        return Score(mean, False, {"validation_loss": mean})

    return validate
