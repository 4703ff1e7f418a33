"""INT8 quantization of TFLite, by ai-edge-quantizer."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field

from edgeopt.quantizing_pass import QuantizingPass
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import LITERT


class QuantizeInt8(QuantizingPass):
    """Quantize weights to 8 bits after training, and activations according to the scheme.

    ``static`` quantizes activations with ranges found in calibration (min-max);
    ``static-int8-io`` also quantizes inputs and outputs. ``int16x8`` is static with activations of
    16 bits, for accelerators that have them: CPUs run it slowly. ``dynamic`` quantizes
    activations with the ranges of each inference, while it runs. ``weight-only`` does not quantize
    activations: weights are dequantized and all arithmetic is float32.
    """

    name: ClassVar[str] = "quantize-int8"
    version: ClassVar[int] = 3
    takes: ClassVar[str] = "tflite"
    gives: ClassVar[str] = "tflite"
    worker: ClassVar[str] = "litert"
    body: ClassVar[str] = "edgeopt.bodies.quantize_int8_tflite"
    uses: ClassVar[tuple[str, ...]] = ("ai-edge-quantizer", "ai-edge-litert")
    splits: ClassVar[tuple[str, ...]] = ("calibration",)
    isa_matters: ClassVar[bool] = True

    engine: Literal["ai-edge"] = Field("ai-edge", description="the library that quantizes")
    scheme: Literal["auto", "static", "static-int8-io", "int16x8", "dynamic", "weight-only"] = (
        Field("auto", description=f"what is quantized and when; auto: {' and '.join(LITERT)}")
    )
    per_channel: bool = Field(True, description="use one scale for each output channel of a weight")
    samples: int = Field(512, ge=1, description="number of calibration samples, from the first on")

    @property
    def sees(self) -> tuple[str, ...]:
        """No samples where activations have no ranges."""
        return () if self.scheme in ("dynamic", "weight-only") else self.splits

    def variants(self, d: Description, t: TargetFacts) -> tuple[Self, ...]:
        """``auto`` becomes one pass for each scheme worth trying."""
        if self.scheme != "auto":
            return (self,)
        return tuple(self.model_copy(update={"scheme": name}) for name in LITERT)

    def effect(self, d: Description) -> Description:
        """Quantized weights; activations, inputs and outputs by the scheme."""
        facts = d.facts - {"float32"} | {"int8"}
        signature = d.signature
        if self.scheme not in ("dynamic", "weight-only"):
            facts |= {"int8-activations"}
        if self.scheme == "static-int8-io":
            facts |= {"int8-io"}
            signature = Signature(
                inputs=tuple(map(_narrowed, signature.inputs)),
                outputs=tuple(map(_narrowed, signature.outputs)),
            )
        return d.model_copy(update={"facts": facts, "signature": signature})


def _narrowed(tensor: Tensor) -> Tensor:
    """A float input or output as int8; scale and zero point are known once it is made."""
    if tensor.dtype != "float32":
        return tensor
    return tensor.model_copy(update={"dtype": "int8"})
