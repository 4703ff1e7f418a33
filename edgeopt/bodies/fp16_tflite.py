"""Float16 weights for TFLite, by ai-edge-quantizer."""

from __future__ import annotations

from typing import Any

from ai_edge_quantizer import qtyping, quantizer
from ai_edge_quantizer.algorithm_manager import AlgorithmName

from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.conversion import held_weights
from edgeopt.formats.tflite.describe import weights_fact
from edgeopt.models.conversion import left_in_float
from edgeopt.passes.fp16_tflite import Fp16
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext


def run(step: Fp16, model: Any, ctx: PassContext) -> bytes:
    """Cast the weights. Raises PassError where the quantizer cannot, or casts none."""
    cast = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=16, dtype=qtyping.TensorDataType.FLOAT
        ),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    try:
        edge_quantizer = quantizer.Quantizer(model)
        edge_quantizer.update_quantization_recipe(
            ".*", qtyping.TFLOperationName.ALL_SUPPORTED, cast, AlgorithmName.FLOAT_CASTING
        )
        result = edge_quantizer.quantize(enable_progress_bar=False, enable_progress_report=False)
    except Exception as error:  # the quantizer raises ValueErrors, KeyErrors, its runtime's own
        raise PassError(f"ai-edge-quantizer failed: {type(error).__name__}: {error}") from error
    content = bytes(result.quantized_model)
    graph = files.unpack(content, "the converted model")
    if weights_fact(graph) != "float16":
        why = left_in_float(held_weights(graph), "ai-edge-quantizer")
        raise PassError(f"the weights could not be converted to float16: {why}")
    return content
