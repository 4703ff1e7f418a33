"""Float16 weights and arithmetic for ONNX, by ONNX Runtime's own converter."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import APPROXIMATE, Pass, Promise


class Fp16(Pass):
    """Convert weights and operators to float16; inputs and outputs stay float32.

    The file is half as large. If the CPU has no float16 kernels, ONNX Runtime computes in
    float32 between casts, so inference is no faster.

    Nodes that float16 harms stay float32, and a note names them: whose constants it does not hold,
    and on calibration samples, where there are any, whose values may overflow (half of 65,504 or
    more) or whose answers keep less than 40 dB above the rounding of their inputs (softmax of large
    values, differences of nearly equal ones).
    """

    name: ClassVar[str] = "fp16"
    takes: ClassVar[str] = "onnx"
    gives: ClassVar[str] = "onnx"
    worker: ClassVar[str] = "onnx"
    body: ClassVar[str] = "edgeopt.bodies.fp16_onnx"
    uses: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    version: ClassVar[int] = 2
    splits: ClassVar[tuple[str, ...]] = ("calibration",)
    optional: ClassVar[tuple[str, ...]] = ("calibration",)
    promise: ClassVar[Promise] = APPROXIMATE

    def requires(self, d: Description) -> None:
        """Float32 models only."""
        if d.quantized:
            raise PassError(f"{self.name} takes float32 models, this one is quantized")
        if "float16" in d.facts:
            raise PassError(f"{self.name} takes float32 models, this one is float16 already")

    def effect(self, d: Description) -> Description:
        """float32 becomes float16."""
        return d.model_copy(update={"facts": d.facts - {"float32"} | {"float16"}})
