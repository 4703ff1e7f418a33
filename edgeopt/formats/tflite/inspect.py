"""Figures of a TFLite graph: parameters, multiply-accumulates, operators, quantization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.describe import (
    describe,
    elements,
    quantization_form,
    quantized_operators,
    type_name,
)
from edgeopt.schema.artifact import Inspection

WEIGHT_TYPES = ("FLOAT32", "FLOAT16", "BFLOAT16", "INT8", "UINT8", "INT4")
BIASED = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
UNCOUNTED = ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "SVDF")


def inspect(path: Path) -> Inspection:
    """All of an Inspection. Raises ModelError as ``describe`` does."""
    model = files.read(path)
    macs, notes = count_macs(model)
    if len(model.subgraphs) > 1:
        notes += (f"{len(model.subgraphs)} graphs; figures are of the first",)
    return Inspection(
        format="tflite",
        description=describe(path),
        parameters=count_parameters(model),
        macs=macs,
        operators=dict(Counter(name for name, _ in files.operators(model)).most_common()),
        size_bytes=path.stat().st_size,
        quantization=_quantization(model),
        notes=notes,
    )


def count_parameters(model: Any) -> int:
    """Elements of all weights and biases; shapes, axes and the like are none."""
    return sum(count for _, _, count in parameters(model))


def parameters(model: Any) -> Iterator[tuple[int, Any, int]]:
    """(index, tensor, elements) of all weights and biases."""
    graph = model.subgraphs[0]
    biases = {
        int(op.inputs[BIASED[name]])
        for name, op in files.operators(model)
        if name in BIASED and len(op.inputs) > BIASED[name] and op.inputs[BIASED[name]] >= 0
    }
    for index, tensor in enumerate(graph.tensors):
        known = type_name(tensor) in WEIGHT_TYPES or index in biases
        if known and files.constant(model, tensor):
            yield index, tensor, elements(tensor)


Sizes = Callable[[int], list[int]]


def count_macs(model: Any) -> tuple[int | None, tuple[str, ...]]:
    """Multiply-accumulates of convolutions and matrix products for one sample, and notes."""
    graph = model.subgraphs[0]
    total = sum(macs for _, macs in macs_by_operator(model))
    left_out = Counter(name for name, _ in files.operators(model) if name in UNCOUNTED)
    batch = (
        int(
            next(
                (graph.tensors[i].shape[0] for i in graph.inputs if len(graph.tensors[i].shape)), 1
            )
        )
        or 1
    )
    told = ", ".join(f"{name} ({count})" for name, count in left_out.items())
    return total // batch, (f"MACs leave out {told}",) if told else ()


def macs_by_operator(model: Any) -> Iterator[tuple[str, int]]:
    """Each operator of the main graph, in order, with its multiply-accumulates for one batch."""
    graph = model.subgraphs[0]
    for name, op in files.operators(model):

        def sizes(position: int, op: Any = op) -> list[int]:
            return [int(n) for n in graph.tensors[op.inputs[position]].shape]

        rule = MACS.get(name)
        result = [int(n) for n in graph.tensors[op.outputs[0]].shape] if rule else []
        yield name, rule(result, sizes) if rule else 0


def _product(sizes: list[int]) -> int:
    return int(np.prod(sizes, dtype=np.int64))


MACS: dict[str, Callable[[list[int], Sizes], int]] = {
    "CONV_2D": lambda out, sizes: _product(out) * _product(sizes(1)[1:]),
    "DEPTHWISE_CONV_2D": lambda out, sizes: _product(out) * _product(sizes(1)[1:3]),
    "FULLY_CONNECTED": lambda out, sizes: _product(out) * sizes(1)[-1],
    "TRANSPOSE_CONV": lambda out, sizes: _product(sizes(2)) * _product(sizes(1)[:3]),
    "BATCH_MATMUL": lambda out, sizes: _product(out) * sizes(0)[-1],
}


def _quantization(model: Any) -> dict[str, Any]:
    """Form, types and granularity of a quantized graph; empty for a float one."""
    weights = [tensor for tensor, _ in quantized_operators(model)]
    if not weights:
        return {}
    scales = [t.quantization.scale for t in weights if t.quantization is not None]
    held = {id(t) for t in weights}
    activations = {
        type_name(tensor)
        for tensor in model.subgraphs[0].tensors
        if id(tensor) not in held
        and not files.constant(model, tensor)
        and tensor.quantization is not None
        and tensor.quantization.scale is not None
    }
    return {
        "form": quantization_form(model),
        "weights": sorted({type_name(tensor).lower() for tensor in weights}),
        "activations": sorted(name.lower() for name in activations),
        "per_channel": any(scale is not None and len(scale) > 1 for scale in scales),
        "quantized_tensors": len(weights),
    }
