"""Float16 weights and arithmetic for ONNX, by ONNX Runtime's own converter."""

from __future__ import annotations

from typing import Any, ClassVar

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import APPROXIMATE, Pass, PassContext, Promise


class Fp16(Pass):
    """Convert weights and operators to float16; inputs and outputs stay float32.

    Half the size. ONNX Runtime computes in float32 between casts where the CPU has no
    float16 kernels, so it is no faster there.
    """

    name: ClassVar[str] = "fp16"
    takes: ClassVar[str] = "onnx"
    gives: ClassVar[str] = "onnx"
    worker: ClassVar[str] = "onnx"
    uses: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    promise: ClassVar[Promise] = APPROXIMATE

    def requires(self, d: Description) -> None:
        """Float32 models only."""
        if d.facts & {"qdq", "int8"}:
            raise PassError(f"{self.name} takes float32 models, this one is quantized")
        if "float16" in d.facts:
            raise PassError(f"{self.name} takes float32 models, this one is float16 already")

    def effect(self, d: Description) -> Description:
        """float32 becomes float16."""
        return d.model_copy(update={"facts": d.facts - {"float32"} | {"float16"}})

    def run(self, model: Any, ctx: PassContext) -> Any:
        """Convert and sort: the converter appends its casts at the end of the graph.

        Raises PassError where the bulk of the weights stays float32.
        """
        import onnx
        from onnxruntime.quantization.onnx_model import ONNXModel
        from onnxruntime.transformers.float16 import convert_float_to_float16

        from edgeopt.formats.conversion import left_in_float
        from edgeopt.formats.onnx import portable
        from edgeopt.formats.onnx.conversion import held_weights
        from edgeopt.formats.onnx.describe import weights_fact

        before = onnx.ModelProto()
        before.CopyFrom(model)
        portable.modern(model)
        try:
            made = ONNXModel(convert_float_to_float16(model, keep_io_types=True))
            made.topological_sort()
        except Exception as error:  # the converter asserts on graphs that it does not know
            said = str(error).strip() or type(error).__name__
            raise PassError(f"ONNX Runtime's float16 converter failed: {said}") from error
        if "float16" not in weights_fact(made.model):
            why = left_in_float(held_weights(made.model), "ONNX Runtime's float16 converter")
            raise PassError(f"the weights could not be converted to float16: {why}")
        return portable.finished(made.model, before)
