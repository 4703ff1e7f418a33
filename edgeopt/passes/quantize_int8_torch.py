"""torch -> torch on the grids that neural-compressor finds."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field

from edgeopt.module_pass import ModulePass
from edgeopt.schema.artifact import Description
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import trained_scheme_for


class QuantizeInt8(ModulePass):
    """Quantize the module with the ranges that neural-compressor finds on calibration samples.

    Exports then write INT8 with these very scales and zero points, to ONNX and to TFLite. Batch
    norms are folded. What neural-compressor leaves in float and an integer runtime needs as
    integers, such as the two sides of an addition, gets the extremes of the calibration samples.
    """

    name: ClassVar[str] = "quantize-int8"
    body: ClassVar[str] = "edgeopt.bodies.quantize_int8_torch"
    uses: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "neural-compressor", "torchao")
    extra: ClassVar[str] = "neural-compressor"
    splits: ClassVar[tuple[str, ...]] = ("calibration",)
    stage: ClassVar[bool] = False
    isa_matters: ClassVar[bool] = True

    engine: Literal["neural-compressor"] = Field(description="the library that finds the ranges")
    scheme: Literal["auto", "u8s8", "u8s8-reduced", "s8s8", "int8"] = Field(
        "auto",
        description="types of activations and weights in ONNX Runtime, or int8 for LiteRT; auto: "
        "what suits the target",
    )
    calibration: Literal["minmax", "kl"] = Field(
        "minmax",
        description="how ranges of activations are found: minmax, a moving average of each "
        "batch's extremes; kl, histograms",
    )
    samples: int = Field(512, ge=2, description="number of calibration samples, from the first on")
    batch: int = Field(32, ge=2, description="samples of a batch of calibration")
    float_stem: bool = Field(
        True,
        description="for ONNX Runtime, keep first convolutions with sums of fewer than 32 products "
        "in float32",
    )

    def variants(self, d: Description, t: TargetFacts) -> tuple[Self, ...]:
        """``auto`` becomes the one scheme that suits the target best."""
        if self.scheme != "auto":
            return (self,)
        return (self.model_copy(update={"scheme": trained_scheme_for(t)}),)

    def effect(self, d: Description) -> Description:
        """The same module, on grids."""
        facts = d.facts | {"fake-quantized", f"qat-{self.scheme}"}
        return d.model_copy(update={"facts": facts})
