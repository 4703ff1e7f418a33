"""INT4 weights for TFLite, by ai-edge-quantizer."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from edgeopt.quantizing_pass import Int4Pass


class QuantizeInt4(Int4Pass):
    """Quantize the weights of fully connected layers to 4 bits after training.

    LiteRT quantizes activations with the ranges of each inference, while it runs. Convolutions and
    recurrent layers are left as they are: 4 bits would make them smaller, and no faster.
    """

    takes: ClassVar[str] = "tflite"
    gives: ClassVar[str] = "tflite"
    worker: ClassVar[str] = "litert"
    body: ClassVar[str] = "edgeopt.bodies.quantize_int4_tflite"
    uses: ClassVar[tuple[str, ...]] = ("ai-edge-quantizer", "ai-edge-litert")
    isa_matters: ClassVar[bool] = True

    block: Literal[0, 32, 64, 128, 256] = Field(
        0, description="weights that share a scale; 0: those of an output channel"
    )
