"""torch -> torch: training with quantization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from edgeopt.by_hand import ByHand
from edgeopt.schema.artifact import Description
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import PassError
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import scheme_trained, trained_scheme_for
from edgeopt.step import PassContext
from edgeopt.training import Samples, fit, samples_of, supervised, validation
from edgeopt.training.training_pass import TrainingPass


class Qat(TrainingPass):
    """Train on with weights and activations quantized as the runtime that follows does it.

    Exports then write INT8 with the trained ranges. Batch norms are folded; dropout is off. The
    source teaches beside the labels.
    """

    name: ClassVar[str] = "qat"
    version: ClassVar[int] = 2
    teaches: ClassVar[bool] = True

    epochs: int = Field(3, ge=1, description="how often each training sample is seen")
    lr: float = Field(0.01, gt=0, description="the highest learning rate")
    clip: float | None = Field(
        1.0,
        gt=0,
        description="most L2 norm of all gradients together: weights folded with batch norms give "
        "large ones now and then",
    )
    weight_decay: float = Field(1e-4, ge=0, description="of all parameters")
    schedule: Literal["constant", "cosine", "one-cycle", "step"] = Field(
        "cosine", description="the rate over the steps"
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="keep a moving average of weights and ranges with this decay"
    )
    scheme: Literal["auto", "u8s8", "u8s8-reduced", "s8s8", "int8"] = Field(
        "auto",
        description="types of activations and weights in ONNX Runtime, or int8: LiteRT's; auto: "
        "what suits the target",
    )
    soft: float = Field(
        0.9, ge=0, le=1, description="share of the source's outputs in the loss, against labels"
    )
    temperature: float = Field(4.0, gt=0, description="softens scores of classes")
    ranges: Literal["moving-average", "learned"] = Field(
        "moving-average",
        description="of activations and weights; learned: scales are trained too (LSQ)",
    )
    momentum_ranges: float = Field(
        0.01, gt=0, le=1, description="share of a batch's extremes in a moving range"
    )
    observe: int = Field(
        512, ge=1, description="training samples, from the first on, that show first ranges"
    )
    freeze_norms: float = Field(
        0.5, ge=0, le=1, description="share of the steps after which batch norms keep still"
    )
    freeze_ranges: float = Field(
        0.8, ge=0, le=1, description="share of the steps after which ranges keep still"
    )
    float_stem: bool = Field(
        True,
        description="for ONNX Runtime, leave first convolutions with sums of fewer than 32 "
        "products in float32, as quantize-int8 does",
    )

    def variants(self, d: Description, t: TargetFacts) -> tuple[Self, ...]:
        """``auto`` becomes the one scheme that suits the target best."""
        if self.scheme != "auto":
            return (self,)
        return (self.model_copy(update={"scheme": trained_scheme_for(t)}),)

    def requires(self, d: Description) -> None:
        """Float32 modules that were not trained with quantization before."""
        if scheme_trained(d.facts) or "fake-quantized" in d.facts:
            raise PassError(
                f"{self.name} takes float modules, this one is quantized already "
                f"({scheme_trained(d.facts) or 'by hand'})"
            )
        super().requires(d)

    def effect(self, d: Description) -> Description:
        """The same module, on grids."""
        facts = d.facts | {"fake-quantized", f"qat-{self.scheme}"}
        return d.model_copy(update={"facts": facts})

    def change(self, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
        """The module on its trained grids. Raises PassError where it cannot be traced."""
        from edgeopt.quantization.training import quantization_trained

        samples = {split: samples_of(ctx, split) for split in self.splits}
        inputs = {
            tensor.name: {"shape": list(tensor.shape), "dtype": tensor.dtype}
            for tensor in ctx.description.signature.inputs
        }
        scheme = "u8s8" if self.scheme == "auto" else self.scheme
        frozen, record = quantization_trained(
            model,
            inputs,
            scheme=scheme,
            float_stem=self.float_stem and scheme != "int8",
            learned=self.ranges == "learned",
            momentum=self.momentum_ranges,
            observed=self._observed(samples["train"]),
            train=lambda made: self._fit(made, samples, ctx),
        )
        return frozen, [record]

    def _observed(self, samples: Samples) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        count = max(self.batch, min(self.observe, len(samples)) // self.batch * self.batch)
        for start in range(0, count, self.batch):
            index = np.arange(start, start + self.batch) % len(samples)
            yield samples.take(index).inputs

    def _fit(self, made: Any, samples: Mapping[str, Samples], ctx: PassContext) -> None:
        from edgeopt.quantization.training import Schedule
        from edgeopt.training.objective import weights_digest

        fit(
            made,
            samples["train"],
            self._loss(made, samples["train"], ctx),
            self,
            seed=ctx.seed,
            progress=ctx.progress,
            checkpoints=ctx.checkpoints,
            mark=digest_of(
                [weights_digest(ctx.teacher()) if self.soft else "", samples["validation"].digest()]
            ),
            validate=self._validation(made, samples["validation"], ctx),
            before_step=Schedule(self.freeze_norms, self.freeze_ranges),
        )

    def _validation(self, made: Any, samples: Samples, ctx: PassContext) -> Any:
        """By labels that fit the answers, else by the source's answers."""
        from edgeopt.training.lessons import kind_of, nearness
        from edgeopt.training.losses import labels_fit

        if labels_fit(made, samples):
            return validation(samples)
        return nearness(ctx.teacher().eval(), samples, kind_of(samples))

    def _loss(self, made: Any, samples: Samples, ctx: PassContext) -> Any:
        """What the source answers and the labels say. Raises PassError for other shapes."""
        import numpy as np
        import torch

        from edgeopt.training.calls import called
        from edgeopt.training.lessons import kind_of, known_answers, lesson
        from edgeopt.training.losses import all_outputs, labels_fit

        usable = isinstance(ctx, ByHand) or not self.soft or labels_fit(made, samples)
        soft = self.soft if samples.targets and usable else 1.0
        if not soft:
            return supervised(self.label_smoothing)
        teacher = ctx.teacher().eval().requires_grad_(False)
        few = samples.take(np.arange(min(self.batch, len(samples)))).inputs
        with torch.no_grad():
            mine, theirs = (
                [t.shape[1:] for t in all_outputs(called(m, few))] for m in (made, teacher)
            )
        if mine != theirs:
            raise PassError(
                f"the source answers {[list(s) for s in theirs]}, the module "
                f"{[list(s) for s in mine]}",
                hint="say 'soft: 0' to train on labels alone",
            )
        known = None if self.augmented else known_answers(teacher, samples, ctx.progress)
        return lesson(
            teacher,
            kind=kind_of(samples),
            temperature=self.temperature,
            soft=soft,
            smoothing=self.label_smoothing,
            method="logits",
            weight=1.0,
            pairs=[],
            seed=ctx.seed,
            known=known,
        )
