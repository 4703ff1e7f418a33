"""INT8 quantization of TFLite, by ai-edge-quantizer."""

from __future__ import annotations

from functools import partial
from typing import Any

from ai_edge_quantizer import qtyping, quantizer
from ai_edge_quantizer.algorithm_manager import AlgorithmName

from edgeopt.agent.errors import one_line
from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.conversion import unquantized
from edgeopt.formats.tflite.describe import quantization_form
from edgeopt.passes.quantize_int8_tflite import QuantizeInt8
from edgeopt.quantization.biases_tflite import quantized
from edgeopt.quantization.calibration import batches, tell_if_few
from edgeopt.quantization.ranges_tflite import extremes
from edgeopt.schema.errors import DataError, PassError
from edgeopt.step import PassContext

WIDE = "int16x8"
SLOW = (  # docs/benchmarks.md, 'A sentence encoder, and other forms'
    "activations of 16 bits have no fast kernel in LiteRT on CPUs (2.3.0): this file is for "
    "accelerators that have, and times of this machine say nothing of them"
)
ENTERED = ("IF", "WHILE")  # their bodies are graphs of their own, which no calibration enters


def run(step: QuantizeInt8, model: Any, ctx: PassContext) -> bytes:
    """Calibrate where the scheme needs it, quantize. Raises PassError where no weight is."""
    if step.scheme == "auto":
        raise PassError("'auto' stands for several schemes and cannot run itself")
    try:
        edge_quantizer = _configured(step, model)
        ranges = (
            _calibrated(step, edge_quantizer, model, ctx)
            if edge_quantizer.need_calibration
            else None
        )
        if edge_quantizer.need_calibration and not ranges:  # of no operator a range was asked
            raise unquantized(model, step.scheme)
        content = quantized(partial(_configured, step), model, ranges)
    except (DataError, PassError):
        raise
    except Exception as error:  # the quantizer raises ValueErrors, KeyErrors, its runtime's own
        graph = files.unpack(model, "the parent")
        inner = sorted({name for name, _ in files.operators(graph)} & set(ENTERED))
        if inner and step.scheme.startswith("static"):
            raise PassError(
                f"'scheme: {step.scheme}' cannot calibrate inside loops and branches "
                f"({', '.join(inner)}): {one_line(error, 200)}",
                hint="use 'scheme: dynamic', which needs no calibration, or 'weight-only'",
            ) from error
        raise PassError(f"ai-edge-quantizer failed: {type(error).__name__}: {error}") from error
    if not quantization_form(files.unpack(content, "the quantized model")):
        raise unquantized(content, step.scheme)
    if step.scheme == WIDE:
        ctx.found.setdefault("notes", []).append(SLOW)
    return content


def _configured(step: QuantizeInt8, model: bytes) -> Any:
    edge_quantizer = quantizer.Quantizer(model)
    names, sizes = qtyping.TFLOperationName, qtyping.QuantGranularity
    granularity = sizes.CHANNELWISE if step.per_channel else sizes.TENSORWISE
    every = (".*", names.ALL_SUPPORTED)
    if step.scheme == "dynamic":
        edge_quantizer.add_dynamic_config(*every, num_bits=8, granularity=granularity)
    elif step.scheme == "weight-only":
        edge_quantizer.add_weight_only_config(*every, num_bits=8, granularity=granularity)
    else:
        bits = 16 if step.scheme == WIDE else 8
        edge_quantizer.add_static_config(
            *every, activation_num_bits=bits, weight_num_bits=8, weight_granularity=granularity
        )
    if step.scheme in ("static", WIDE):
        for border in (names.INPUT, names.OUTPUT):
            edge_quantizer.update_quantization_recipe(
                ".*", border, algorithm_key=AlgorithmName.NO_QUANTIZE
            )
    return edge_quantizer


def _calibrated(step: QuantizeInt8, edge_quantizer: Any, model: bytes, ctx: PassContext) -> Any:
    graph = files.unpack(model, "the parent")
    keys = [files.text(s.signatureKey) for s in graph.signatureDefs or []]
    if len(keys) != 1:
        raise PassError(
            f"ai-edge-quantizer calibrates models with one signature; this one has "
            f"{len(keys) or 'none'}",
            hint="quantize-int8 with 'scheme: dynamic' or 'weight-only' needs none.",
        )
    feeds = list(batches(ctx, step.samples))  # the calibrator walks through them twice
    tell_if_few(step.name, ctx, step.samples)
    return extremes(edge_quantizer, model, keys[0], feeds)
