"""ONNX -> TFLite by onnx2tf, in a tool environment of its own."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from edgeopt.models.sizes import check_can_fix, with_batch
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import APPROXIMATE, Pass, Promise, close

QUANTIZED = frozenset({"qdq", "int8", "int8-activations"})


class ExportTflite(Pass):
    """Convert to TFLite by onnx2tf, with a fixed batch, in the tool environment `onnx2tf`.

    Inputs and outputs keep their names, their order and their shapes. A model that was quantized as
    ONNX (QDQ) comes out in float32; `quantize-int8` can follow.
    """

    name: ClassVar[str] = "export-tflite"
    takes: ClassVar[str] = "onnx"
    gives: ClassVar[str] = "tflite"
    worker: ClassVar[str] = "onnx2tf"
    body: ClassVar[str] = "edgeopt.bodies.export_tflite_onnx"
    promise: ClassVar[Promise] = close(rtol=1e-3, atol=1e-5)

    batch: int = Field(
        1, ge=1, le=4096, description="samples per inference; fixed in a TFLite file"
    )

    def requires(self, d: Description) -> None:
        """Float32 models, or such that were quantized, whose sizes are fixed but for the batch."""
        if d.facts - {"static-batch", "float32"} - QUANTIZED:
            raise PassError(f"{self.name} takes float32 ONNX models, or QDQ, this one is {d.told}")
        if not d.signature.inputs:
            raise PassError(f"{self.name} needs a model with inputs")
        check_can_fix(d.signature, self.batch, self.name)

    def effect(self, d: Description) -> Description:
        """The batch fixed, all in float32."""
        signature = with_batch(d.signature, self.batch)
        facts = frozenset(d.facts - QUANTIZED | {"float32", "static-batch"})
        return d.model_copy(update={"format": "tflite", "signature": signature, "facts": facts})

    def promised(self, d: Description) -> Promise:
        """What was quantized loses the rounding of its activations."""
        return APPROXIMATE if QUANTIZED & d.facts else self.promise
