"""INT4 weights for TFLite, by ai-edge-quantizer."""

from __future__ import annotations

from typing import Any

from ai_edge_quantizer import qtyping, quantizer

from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.conversion import unquantized
from edgeopt.formats.tflite.describe import quantization_form
from edgeopt.passes.quantize_int4_tflite import QuantizeInt4
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext

BITS = 4


def run(step: QuantizeInt4, model: Any, ctx: PassContext) -> bytes:
    """Fully connected layers alone. Raises PassError where there is none."""
    sizes = qtyping.QuantGranularity
    granularity = sizes[f"BLOCKWISE_{step.block}"] if step.block else sizes.CHANNELWISE
    try:
        edge_quantizer = quantizer.Quantizer(model)
        edge_quantizer.add_dynamic_config(
            ".*", qtyping.TFLOperationName.FULLY_CONNECTED, BITS, granularity
        )
        content = bytes(edge_quantizer.quantize().quantized_model)
    except Exception as error:  # the quantizer raises ValueErrors, KeyErrors, its runtime's own
        raise PassError(f"ai-edge-quantizer failed: {type(error).__name__}: {error}") from error
    if not quantization_form(files.unpack(content, "the quantized model")):
        raise unquantized(content, "dynamic")
    return content
