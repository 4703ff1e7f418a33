"""ONNX Runtime's own quantizer: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html"""

from __future__ import annotations

from pathlib import Path

from given import Feeds, Reader, made
from onnxruntime.quantization import QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


def static(source: Path, feeds: Feeds, file: Path) -> None:
    """As called without options."""
    quantize_static(str(source), str(file), Reader(feeds))


def prepared(source: Path, file: Path) -> str:
    """What its guide asks for first."""
    ready = str(file.with_suffix(".prepared.onnx"))
    try:
        quant_pre_process(str(source), ready)
    except Exception:  # symbolic shape inference does not know every operator
        quant_pre_process(str(source), ready, skip_symbolic_shape=True)
    return ready


def static_best(source: Path, feeds: Feeds, file: Path) -> None:
    """As its guide says for x86: prepared, u8s8, by channel."""
    quantize_static(
        prepared(source, file), str(file), Reader(feeds), per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def static_reduced(source: Path, feeds: Feeds, file: Path) -> None:
    """The same with weights of 7 bits, as its guide says for CPUs without VNNI."""
    quantize_static(
        prepared(source, file), str(file), Reader(feeds), per_channel=True, reduce_range=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def dynamic(source: Path, feeds: Feeds, file: Path) -> None:
    """As called without options."""
    quantize_dynamic(str(source), str(file))


def dynamic_best(source: Path, feeds: Feeds, file: Path) -> None:
    """Prepared, by channel, weights of 7 bits; convolutions left out, as its guide says."""
    quantize_dynamic(
        prepared(source, file), str(file), per_channel=True, reduce_range=True,
        op_types_to_quantize=["MatMul", "Gemm", "LSTM", "Attention", "Gather"],
    )  # fmt: skip


made({
    "default": static, "static-best": static_best, "static-reduced": static_reduced,
    "dynamic": dynamic, "dynamic-best": dynamic_best,
})  # fmt: skip
