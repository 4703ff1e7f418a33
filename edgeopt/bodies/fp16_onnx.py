"""Float16 weights and arithmetic for ONNX, by ONNX Runtime's own converter."""

from __future__ import annotations

from typing import Any

import onnx
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16

from edgeopt.formats.onnx import portable
from edgeopt.formats.onnx.conversion import held_weights
from edgeopt.formats.onnx.describe import weights_fact
from edgeopt.models.conversion import left_in_float
from edgeopt.passes.fp16_onnx import Fp16
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext


def run(step: Fp16, model: Any, ctx: PassContext) -> Any:
    """Convert and sort: the converter appends its casts at the end of the graph.

    Outputs that are inputs, which it would cast in a circle, are kept away from it.

    Raises PassError where the bulk of the weights stays float32.
    """
    before = onnx.ModelProto()
    before.CopyFrom(model)
    portable.modern(model)
    handed = portable.take_handed_through(model)
    try:
        converted = ONNXModel(convert_float_to_float16(model, keep_io_types=True))
        converted.topological_sort()
    except Exception as error:  # the converter asserts on graphs that it does not know
        said = str(error).strip() or type(error).__name__
        raise PassError(f"ONNX Runtime's float16 converter failed: {said}") from error
    if "float16" not in weights_fact(converted.model):
        why = left_in_float(held_weights(converted.model), "ONNX Runtime's float16 converter")
        raise PassError(f"the weights could not be converted to float16: {why}")
    for place, value in handed:
        converted.model.graph.output.insert(place, value)
    return portable.finished(converted.model, before)
