"""Float16 weights for TFLite, by ai-edge-quantizer."""

from __future__ import annotations

from typing import Any, ClassVar

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import APPROXIMATE, Pass, PassContext, Promise


class Fp16(Pass):
    """Convert weights to float16; operators, inputs and outputs stay float32.

    Half the size. On CPUs without float16 arithmetic the weights are widened once, at load
    time, so that inference is as fast as with float32.
    """

    name: ClassVar[str] = "fp16"
    takes: ClassVar[str] = "tflite"
    gives: ClassVar[str] = "tflite"
    worker: ClassVar[str] = "litert"
    uses: ClassVar[tuple[str, ...]] = ("ai-edge-quantizer", "ai-edge-litert")
    promise: ClassVar[Promise] = APPROXIMATE

    def requires(self, d: Description) -> None:
        """Float32 models only."""
        if "float32" not in d.facts:
            raise PassError(f"{self.name} takes float32 models, this one is {sorted(d.facts)}")

    def effect(self, d: Description) -> Description:
        """float32 becomes float16."""
        return d.model_copy(update={"facts": d.facts - {"float32"} | {"float16"}})

    def run(self, model: Any, ctx: PassContext) -> bytes:
        """Cast the weights. Raises PassError where the quantizer cannot, or casts none."""
        from ai_edge_quantizer import qtyping, quantizer
        from ai_edge_quantizer.algorithm_manager import AlgorithmName

        from edgeopt.formats.conversion import left_in_float
        from edgeopt.formats.tflite import files
        from edgeopt.formats.tflite.conversion import held_weights
        from edgeopt.formats.tflite.describe import weights_fact

        cast = qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        try:
            made = quantizer.Quantizer(model)
            made.update_quantization_recipe(
                ".*", qtyping.TFLOperationName.ALL_SUPPORTED, cast, AlgorithmName.FLOAT_CASTING
            )
            result = made.quantize(enable_progress_bar=False, enable_progress_report=False)
        except Exception as error:  # the quantizer raises ValueErrors, KeyErrors, its runtime's own
            raise PassError(f"ai-edge-quantizer failed: {type(error).__name__}: {error}") from error
        content = bytes(result.quantized_model)
        graph = files.unpack(content, "the converted model")
        if weights_fact(graph) != "float16":
            why = left_in_float(held_weights(graph), "ai-edge-quantizer")
            raise PassError(f"the weights could not be converted to float16: {why}")
        return content
