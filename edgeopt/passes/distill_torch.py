"""torch -> torch: a student learns what a teacher knows."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.by_hand import ByHand
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext
from edgeopt.training import Batch, Samples, Score, fit, samples_of, validation
from edgeopt.training.lessons import Kind, kind_of, known_answers, lesson, nearness
from edgeopt.training.losses import labels_fit
from edgeopt.training.training_pass import TrainingPass


class Distill(TrainingPass):
    """Train a student on what a teacher answers: the source, unless told otherwise.

    The student is the network so far (a pruned one, say), or one that a factory builds. The
    teacher's answers are computed once where samples are not augmented.
    """

    name: ClassVar[str] = "distill"
    teaches: ClassVar[bool] = True

    student: str | None = Field(
        None,
        pattern=r"\.py:[A-Za-z_]\w*$",
        description="FILE.py:CALLABLE that builds the student; left out: the network so far",
    )
    teacher: Literal["source", "parent"] = Field(
        "source", description="who teaches; parent: the network so far (self-distillation)"
    )
    method: Literal["logits", "features", "attention"] = Field(
        "logits",
        description="beside outputs: features of layers (through learned projections where widths "
        "differ), or maps of where layers look",
    )
    temperature: float = Field(4.0, gt=0, description="softens scores of classes")
    soft: float = Field(
        0.9, ge=0, le=1, description="share of the teacher's outputs in the loss, against labels"
    )
    outputs: Literal["auto", "classes", "values", "embedding"] = Field(
        "auto",
        description="how outputs are compared: divergence of softened scores, mean square error, "
        "or cosine; auto: classes where labels are, else values",
    )
    weight: float = Field(1.0, gt=0, description="of features or attention, beside outputs")
    layers: dict[str, str] = Field(
        {},
        description="student's layer: teacher's layer; left out: those of equal names, the last "
        "of each resolution",
    )
    training_step: str | None = Field(
        None,
        pattern=r"\.py:[A-Za-z_]\w*$",
        description="FILE.py:FUNCTION of (student, teacher, inputs, labels): the loss of a step",
    )

    @model_validator(mode="after")
    def _layers_are_used(self) -> Self:
        if self.layers and self.method == "logits":
            raise ValueError("layers are for method: features or attention")
        return self

    @property
    def code(self) -> tuple[str, ...]:
        """Student and training step."""
        return tuple(named for named in (self.student, self.training_step) if named)

    def run(self, model: Any, ctx: PassContext) -> Any:
        """Train and write: the parent with new weights, or the student's factory."""
        from edgeopt.formats.torch import weights
        from edgeopt.formats.torch.format import WEIGHTS

        if self.student is None:
            return super().run(model, ctx)
        student, folder = self._built(ctx)
        self._train(student, model, ctx)
        weights.write_state(student, folder / WEIGHTS)
        return folder

    def change(self, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
        """The module, or the student's factory's, trained; no surgery."""
        student = model if self.student is None else self._built(ctx)[0]
        self._train(student, model, ctx)
        return student, []

    def _built(self, ctx: PassContext) -> tuple[Any, Path]:
        """The student with fresh weights, and its artifact's folder. Raises ModelError."""
        from edgeopt.formats import format_named
        from edgeopt.formats.torch import code

        assert self.student is not None
        root, placed = ctx.code(self.student)
        folder = ctx.workdir / "student"
        folder.mkdir()
        samples = {
            tensor.name: {"shape": tensor.shape[1:], "dtype": tensor.dtype, "layout": tensor.layout}
            for tensor in ctx.description.signature.inputs
        }
        format_named("torch").gather({"factory": placed}, root, folder, samples)
        file, _, name = placed.rpartition(":")
        return code.build(folder / "code", file, name, seed=ctx.seed), folder

    def _train(self, student: Any, parent: Any, ctx: PassContext) -> None:
        import copy

        from edgeopt.training.objective import lay_out, weights_digest

        samples = {split: samples_of(ctx, split) for split in ("train", "validation")}
        teacher = ctx.teacher() if self.teacher == "source" else copy.deepcopy(parent)
        teacher.eval().requires_grad_(False)
        lay_out(teacher, samples["train"])
        student.eval()  # what is tried on it must not move its statistics
        kind = kind_of(samples["train"]) if self.outputs == "auto" else self.outputs
        own = self._own(teacher, ctx)
        if own is None:
            _check_taught(self, ctx)
            _check_outputs(student, teacher, samples["train"])
        fit(
            student,
            samples["train"],
            own or self._loss(student, teacher, samples["train"], kind, ctx),
            self,
            seed=ctx.seed,
            progress=ctx.progress,
            checkpoints=ctx.checkpoints,
            mark=digest_of(
                [weights_digest(teacher), samples["validation"].digest(), self._step_source(ctx)]
            ),
            validate=self._validation(student, teacher, samples["validation"], kind, own),
        )

    def _own(self, teacher: Any, ctx: PassContext) -> Any:
        """The user's own step as a loss, or None."""
        if isinstance(ctx, ByHand) and ctx.training_step:
            return _own_step("training_step", ctx.training_step, teacher)
        if self.training_step:
            return _own_step(self.training_step, _function(self.training_step, ctx), teacher)
        return None

    def _validation(
        self, student: Any, teacher: Any, samples: Samples, kind: Kind, own: Any
    ) -> Any:
        """By labels that fit the answers, else by the user's own loss or the teacher's answers."""
        if kind != "embedding" and labels_fit(student, samples):
            return validation(samples)
        return _by_own_step(own, samples, self.batch) if own else nearness(teacher, samples, kind)

    def _taught_by_labels(self, student: Any, samples: Samples, ctx: PassContext) -> bool:
        """Whether labels count. A recipe's may be for a metric of its own: where no loss fits them
        the teacher alone teaches, and that is told. By hand they were given for this: an error."""
        if self.soft == 0 or isinstance(ctx, ByHand) or labels_fit(student, samples):
            return True
        ctx.found["labels"] = "not used: they do not fit the outputs; the teacher alone taught"
        return False

    def _step_source(self, ctx: PassContext) -> str:
        """The text of the user's own training step; of no other use than to tell steps apart."""
        import inspect

        step = ctx.training_step if isinstance(ctx, ByHand) else None
        if step is None and self.training_step:
            step = _function(self.training_step, ctx)
        try:
            return "" if step is None else inspect.getsource(step)
        except (OSError, TypeError):  # typed at a prompt, or an object that is called
            return str(getattr(step, "__qualname__", type(step).__qualname__))

    def _loss(
        self, student: Any, teacher: Any, samples: Samples, kind: Kind, ctx: PassContext
    ) -> Any:
        import numpy as np

        from edgeopt.training.layers import pairs_of

        few = samples.take(np.arange(min(2, len(samples)))).inputs
        axes = 3 if self.method == "attention" else 2
        pairs = (
            pairs_of(student, teacher, few, self.layers, axes) if self.method != "logits" else []
        )
        known = None
        if not (self.augmented or pairs):
            known = known_answers(teacher, samples, ctx.progress)
        nameless = kind == "embedding" and samples.classes  # who it is, not where it lies
        alone = not samples.targets or nameless or not self._taught_by_labels(student, samples, ctx)
        return lesson(
            teacher,
            kind=kind,
            temperature=self.temperature,
            soft=1.0 if alone else self.soft,
            smoothing=self.label_smoothing,
            method=self.method,
            weight=self.weight,
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
            "no teacher was given: the network would learn of itself",
            hint="Give teacher=the network before it was pruned, or say Distill(teacher='parent').",
        )


def _check_outputs(student: Any, teacher: Any, samples: Samples) -> None:
    """Raise PassError where the two do not answer in one shape."""
    import numpy as np
    import torch

    from edgeopt.training.calls import called
    from edgeopt.training.losses import all_outputs

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
    from edgeopt.formats.torch.code import function_of

    root, placed = ctx.code(named)
    file, _, name = placed.rpartition(":")
    return function_of(root, file, name)


def _own_step(named: str, function: Callable[..., Any], teacher: Any) -> Any:
    """The user's step as a loss."""
    import torch

    def loss(module: Any, batch: Batch) -> Any:
        device = next(iter(batch.inputs.values())).device
        try:
            made = function(module, teacher.to(device), batch.inputs, batch.told)
        except Exception as error:  # the user's own code may raise anything
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise PassError(
                f"{named} failed: {type(error).__name__}: {error}",
                where=f"{last.filename}:{last.lineno}",
            ) from error
        first = made[0] if isinstance(made, tuple) else made
        trains = getattr(first, "requires_grad", False) or not torch.is_grad_enabled()
        if not isinstance(first, torch.Tensor) or first.numel() != 1 or not trains:
            raise PassError(
                f"{named} must give a scalar tensor to lower, or that and figures",
                hint="It gave a tensor without gradients or of several values, or no tensor.",
            )
        return made

    return loss


def _by_own_step(loss: Any, samples: Samples, batch: int) -> Any:
    """A ``validate`` for ``fit``: the mean of the user's own loss."""
    import numpy as np
    import torch

    def validate(module: Any) -> Score:
        device = next(module.parameters()).device
        total = 0.0
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for start in range(0, len(samples), batch):
                index = np.arange(start, min(start + batch, len(samples)))
                made = loss(module, samples.take(index).to(device))
                total += float(made[0] if isinstance(made, tuple) else made) * len(index)
        mean = total / len(samples)
        return Score(mean, False, {"validation_loss": mean})

    return validate
