"""torch -> torch: training with quantization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import scheme_trained, trained_scheme_for
from edgeopt.step import APPROXIMATE, Pass, PassContext, Promise
from edgeopt.training import Samples, TrainingSettings, fit, supervised, validation


class Qat(TrainingSettings, Pass):
    """Train on with weights and activations quantized as the runtime that follows does it.

    Exports then write INT8 with the trained ranges. Batch norms are folded; dropout is off.
    """

    name: ClassVar[str] = "qat"
    takes: ClassVar[str] = "torch"
    gives: ClassVar[str] = "torch"
    worker: ClassVar[str] = "torch"
    uses: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    splits: ClassVar[tuple[str, ...]] = ("train", "validation")
    labels: ClassVar[bool] = True
    isa_matters: ClassVar[bool] = True
    limit_s: ClassVar[float | None] = 86_400.0
    promise: ClassVar[Promise] = APPROXIMATE

    epochs: int = Field(3, ge=1, description="how often each training sample is seen")
    lr: float = Field(0.01, gt=0, description="the highest learning rate")
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
        if scheme_trained(d.facts):
            raise PassError(
                f"{self.name} takes float modules, this one is quantized already "
                f"({scheme_trained(d.facts)})"
            )
        if d.facts - {"static-batch"} != {"float32"}:
            raise PassError(f"{self.name} trains float32 modules, this one is {sorted(d.facts)}")
        if d.signature.batch not in (None, self.batch):
            raise PassError(
                f"{self.name}: the module takes {d.signature.batch} samples at a time",
                hint=f"say 'batch: {d.signature.batch}'",
            )

    def effect(self, d: Description) -> Description:
        """The same module, on grids."""
        facts = d.facts | {"fake-quantized", f"qat-{self.scheme}"}
        return d.model_copy(update={"facts": facts})

    def run(self, model: Any, ctx: PassContext) -> Any:
        """Train and write. Raises PassError for a module that cannot be traced."""
        from edgeopt.formats.torch import edited

        edited.write(ctx.parent, model, (), ctx.workdir / "before")  # refused before the work
        module, record = self._trained(model, ctx)
        return edited.write(ctx.parent, module, (record,), ctx.workdir / "made")

    def _trained(self, module: Any, ctx: PassContext) -> tuple[Any, dict[str, Any]]:
        from edgeopt.quantization.training import Schedule, quantization_trained

        if self.scheme == "auto":
            raise PassError("'auto' stands for the scheme of a target and cannot run itself")
        samples = {split: Samples(ctx.data(split), ctx.labels(split)) for split in self.splits}

        def train(made: Any) -> None:
            fit(
                made,
                samples["train"],
                supervised(self.label_smoothing),
                self,
                seed=ctx.seed,
                progress=ctx.progress,
                checkpoints=ctx.checkpoints,
                validate=validation(samples["validation"]),
                before_step=Schedule(self.freeze_norms, self.freeze_ranges),
            )

        return quantization_trained(
            module,
            {t.name: {"shape": list(t.shape), "dtype": t.dtype}
             for t in ctx.description.signature.inputs},
            scheme=self.scheme,
            float_stem=self.float_stem and self.scheme != "int8",
            learned=self.ranges == "learned",
            momentum=self.momentum_ranges,
            observed=self._observed(samples["train"]),
            train=train,
        )  # fmt: skip

    def _observed(self, samples: Samples) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        count = max(1, min(self.observe, len(samples)) // self.batch) * self.batch
        for start in range(0, min(count, len(samples)), self.batch):
            stop = min(start + self.batch, len(samples))
            yield samples.take(np.arange(start, stop)).inputs
