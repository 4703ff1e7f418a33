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
    """Continue training with weights and activations quantized as the target's runtime does.

    Exports then write INT8 with the trained ranges. Batch norms are folded and dropout is off. The
    loss combines the labels with the outputs of the source.
    """

    name: ClassVar[str] = "qat"
    body: ClassVar[str] = "edgeopt.bodies.qat_torch"
    version: ClassVar[int] = 2
    teaches: ClassVar[bool] = True

    epochs: int = Field(3, ge=1, description="number of passes over the training samples")
    lr: float = Field(0.01, gt=0, description="the highest learning rate")
    clip: float | None = Field(
        1.0,
        gt=0,
        description="clip gradients to this L2 norm, over all of them together: weights folded "
        "with batch norms sometimes cause large gradients",
    )
    weight_decay: float = Field(1e-4, ge=0, description="applied to all parameters")
    schedule: Literal["constant", "cosine", "one-cycle", "step"] = Field(
        "cosine", description="learning rate over the steps"
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="keep a moving average of weights and ranges with this decay"
    )
    scheme: Literal["auto", "u8s8", "u8s8-reduced", "s8s8", "int8"] = Field(
        "auto",
        description="types of activations and weights in ONNX Runtime, or int8 for LiteRT; auto: "
        "what suits the target",
    )
    soft: float = Field(
        0.9,
        ge=0,
        le=1,
        description="weight of the source's outputs in the loss; the rest is on labels",
    )
    temperature: float = Field(4.0, gt=0, description="divides class scores, to soften them")
    ranges: Literal["moving-average", "learned"] = Field(
        "moving-average",
        description="how ranges are found; learned: scales are trained too (LSQ)",
    )
    momentum_ranges: float = Field(
        0.01, gt=0, le=1, description="weight of each batch's extremes in the moving average"
    )
    observe: int = Field(
        512,
        ge=1,
        description="number of training samples for the initial ranges, from the first on",
    )
    freeze_norms: float = Field(
        0.5, ge=0, le=1, description="fraction of the steps after which batch norms are frozen"
    )
    freeze_ranges: float = Field(
        0.8, ge=0, le=1, description="fraction of the steps after which ranges are frozen"
    )
    float_stem: bool = Field(
        True,
        description="for ONNX Runtime, keep first convolutions with sums of fewer than 32 products "
        "in float32, as quantize-int8 does",
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
