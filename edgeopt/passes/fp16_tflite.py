"""Float16 weights for TFLite, by ai-edge-quantizer."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import APPROXIMATE, Pass, Promise


class Fp16(Pass):
    """Convert weights to float16; operators, inputs and outputs stay float32.

    The file is half as large. On CPUs without float16 arithmetic, the weights are widened once,
    at load time, so inference is as fast as with float32.
    """

    name: ClassVar[str] = "fp16"
    takes: ClassVar[str] = "tflite"
    gives: ClassVar[str] = "tflite"
    worker: ClassVar[str] = "litert"
    body: ClassVar[str] = "edgeopt.bodies.fp16_tflite"
    uses: ClassVar[tuple[str, ...]] = ("ai-edge-quantizer", "ai-edge-litert")
    promise: ClassVar[Promise] = APPROXIMATE

    def requires(self, d: Description) -> None:
        """Float32 models only."""
        if "float32" not in d.facts:
            raise PassError(f"{self.name} takes float32 models, this one is {d.told}")

    def effect(self, d: Description) -> Description:
        """float32 becomes float16."""
        return d.model_copy(update={"facts": d.facts - {"float32"} | {"float16"}})
