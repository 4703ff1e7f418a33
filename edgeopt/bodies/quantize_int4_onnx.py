"""INT4 weights for ONNX, by ONNX Runtime's quantizer of blocks."""

from __future__ import annotations

from typing import Any

import onnx

from edgeopt.formats.onnx import portable
from edgeopt.formats.onnx.conversion import unquantized
from edgeopt.passes.quantize_int4_onnx import QuantizeInt4
from edgeopt.quantization import forms_onnx as forms
from edgeopt.quantization import weights_onnx
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext


def run(step: QuantizeInt4, model: Any, ctx: PassContext) -> Any:
    """Blocks in the form asked for. Raises PassError where no weight is quantized."""
    before = onnx.ModelProto()
    before.CopyFrom(model)
    portable.modern(model)
    if step.form == "qdq":
        model = portable.at_least_opset(model, weights_onnx.BLOCKED_OPSET, step.name)
    forms.name_nodes(model)
    model = onnx.shape_inference.infer_shapes(model)
    quantized = weights_onnx.blocked(
        model,
        bits=4,
        block=step.block,
        symmetric=step.symmetric,
        operators=step.form == "matmulnbits",
        level=step.accuracy_level,
    )
    if why := unquantized(quantized, []):
        raise PassError(
            f"no operator with weights could be quantized: {why}",
            hint="quantize-int8 takes convolutions and recurrent layers, too",
        )
    return portable.finished(quantized, before)
