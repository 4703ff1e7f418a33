"""torch -> torch: training with quantization."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import scheme_trained, trained_scheme_for
from edgeopt.training_pass import TrainingPass


class Qat(TrainingPass):
    """Train on with weights and activations quantized as the runtime that follows does it.

    Exports then write INT8 with the trained ranges. Batch norms are folded; dropout is off. The
    source teaches beside the labels.
    """

    name: ClassVar[str] = "qat"
    body: ClassVar[str] = "edgeopt.bodies.qat_torch"
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
