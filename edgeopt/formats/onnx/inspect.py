"""Figures of an ONNX graph: parameters, multiply-accumulates, operators, quantization."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import onnx
from onnx import ModelProto, NodeProto, TensorProto

from edgeopt.formats.onnx.describe import (
    Constant,
    constants,
    describe,
    dtype_name,
    nodes,
    quantized_weights,
)
from edgeopt.schema.artifact import Inspection

Shape = Sequence[int]
WEIGHT_TYPES = (
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE,
    TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.UINT4, TensorProto.INT32,
)  # fmt: skip
# Positions of scales and zero points: they are no parameters.
SCALES: dict[str, tuple[int, ...]] = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QLinearAdd": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "MatMulNBits": (2, 3),
    "GatherBlockQuantized": (2, 3),
    "DynamicQuantizeLSTM": (8, 9, 10, 11),
}
MOST_MACS = 2**63  # of a node: more comes of sizes that no tensor has
UNCOUNTED = ("Einsum", "Attention", "MultiHeadAttention", "DeformConv")
SHAPES = ("Reshape", "Resize", "Slice", "Pad", "Clip", "Expand", "Tile", "Squeeze", "Unsqueeze")


def inspect(model: ModelProto, where: str, size_bytes: int) -> Inspection:
    """All of an Inspection. ``model`` needs no large weights in memory.

    Raises ModelError as ``describe`` does.
    """
    macs, notes = count_macs(model)
    description = describe(model, where)
    if model.functions:
        notes += (f"{len(model.functions)} local functions",)
    return Inspection(
        format="onnx",
        description=description,
        parameters=count_parameters(model),
        macs=macs,
        operators=dict(Counter(_operator(n) for n in nodes(model)).most_common()),
        size_bytes=size_bytes,
        opset={entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        ir_version=model.ir_version,
        quantization=_quantization(model),
        notes=notes,
    )


def count_parameters(model: ModelProto) -> int:
    """Elements of all weights and biases; scales, zero points and shapes are none."""
    return sum(constant.elements for constant in parameters(model))


def parameters(model: ModelProto) -> Iterator[Constant]:
    """All weights and biases."""
    held = constants(model)
    skipped: set[str] = set()
    for node in nodes(model):
        for position in SCALES.get(node.op_type, ()):
            skipped.update(node.input[position : position + 1])
        if node.op_type in SHAPES:
            skipped.update(node.input[1:])
    for name, constant in held.items():
        if name not in skipped and constant.dtype in WEIGHT_TYPES:
            yield constant


def count_macs(model: ModelProto) -> tuple[int | None, tuple[str, ...]]:
    """Multiply-accumulates of convolutions, matrix products and recurrent layers for one sample,
    and notes. None where ONNX's shape inference leaves a needed shape open.
    """
    total, notes = 0, []
    for node, count in macs_by_node(model):
        if count is None:
            return None, (f"the shapes at {node.op_type} '{node.name}' are unknown: no MACs",)
        total += count
    left_out = Counter(n.op_type for n in nodes(model) if n.op_type in UNCOUNTED)
    inner = sum(1 for n in nodes(model) if n.op_type in MACS) - sum(
        1 for n in model.graph.node if n.op_type in MACS
    )
    if left_out:
        notes.append(f"MACs leave out {', '.join(f'{k} ({v})' for k, v in left_out.items())}")
    if inner:
        notes.append(f"MACs leave out {inner} operators in subgraphs and functions")
    return total, tuple(notes)


def macs_by_node(model: ModelProto) -> Iterator[tuple[NodeProto, int | None]]:
    """The main graph's nodes that multiply, with their MACs for one sample; None: not known."""
    shapes = _shapes(model)
    for node in model.graph.node:
        if rule := MACS.get(node.op_type):
            try:
                count = rule(node, lambda name: shapes[name])
            except (KeyError, IndexError):
                count = -1
            yield node, count if 0 <= count < MOST_MACS else None


def _shapes(model: ModelProto) -> dict[str, list[int]]:
    """Known shapes by tensor name, the batch set to one sample."""
    try:
        graph = onnx.shape_inference.infer_shapes(_of_one_sample(model), data_prop=True).graph
    except Exception:  # a node that inference cannot read; what is known stands
        return {}
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            dims = value.type.tensor_type.shape.dim
            if all(dim.HasField("dim_value") for dim in dims):
                shapes.setdefault(value.name, [dim.dim_value for dim in dims])
    for node in (each for each in graph.node if each.op_type == "Constant"):
        for tensor in (each.t for each in node.attribute if each.HasField("t")):
            shapes.setdefault(node.output[0], list(tensor.dims))
    return shapes


def _of_one_sample(model: ModelProto) -> ModelProto:
    """A copy with a batch of 1, without shapes that were written for another; what is stored in
    other files is an input."""
    one = ModelProto()
    one.CopyFrom(model)
    del one.graph.value_info[:]
    held = {tensor.name for tensor in one.graph.initializer}
    for value in one.graph.input:
        if value.name not in held and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    for value in one.graph.output:
        value.type.tensor_type.ClearField("shape")
    for tensor in one.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            one.graph.input.append(value)
    kept = [t for t in one.graph.initializer if t.data_location != TensorProto.EXTERNAL]
    del one.graph.initializer[:]
    one.graph.initializer.extend(kept)
    return one


Rule = Callable[[NodeProto, Callable[[str], Shape]], int]


def _convolution(weight: int) -> Rule:
    def rule(node: NodeProto, shape: Callable[[str], Shape]) -> int:
        return math.prod(shape(node.output[0])) * math.prod(shape(node.input[weight])[1:])

    return rule


def _transposed(node: NodeProto, shape: Callable[[str], Shape]) -> int:
    return math.prod(shape(node.input[0])) * math.prod(shape(node.input[1])[1:])


def _product(node: NodeProto, shape: Callable[[str], Shape]) -> int:
    return math.prod(shape(node.output[0])) * shape(node.input[0])[-1]


def _gemm(node: NodeProto, shape: Callable[[str], Shape]) -> int:
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    return math.prod(shape(node.output[0])) * shape(node.input[0])[0 if transposed else 1]


def _recurrent(node: NodeProto, shape: Callable[[str], Shape]) -> int:
    """Inputs and states of every step, (steps, batch, ...) by their weights in each direction."""
    weights = sum(math.prod(shape(name)) for name in node.input[1:3])
    return math.prod(shape(node.input[0])[:2]) * weights


MACS: dict[str, Rule] = {
    "Conv": _convolution(1),
    "FusedConv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "Gemm": _gemm,
    "QGemm": _gemm,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "RNN": _recurrent,
}


def _quantization(model: ModelProto) -> dict[str, Any]:
    """Scheme, granularity and node counts of a quantized graph; empty for a float one."""
    weights = quantized_weights(model)
    counts = Counter(_operator(n) for n in nodes(model))
    pairs = counts["QuantizeLinear"] + counts["DequantizeLinear"]
    integer = {k: v for k, v in counts.items() if k.startswith("Q") and k != "QuantizeLinear"}
    if not weights and not pairs and not integer:
        return {}
    held = constants(model)
    names = {constant.name for constant in weights}
    scales = [
        held[n.input[1]].elements
        for n in nodes(model)
        if n.op_type == "DequantizeLinear" and n.input[0] in names and n.input[1] in held
    ]
    activations = {
        dtype_name(held[n.input[2]].dtype)
        for n in nodes(model)
        if n.op_type == "QuantizeLinear" and len(n.input) > 2 and n.input[2] in held
    }
    return {
        "form": "qdq" if pairs and not integer else "operators" if not pairs else "mixed",
        "weights": sorted({dtype_name(constant.dtype) for constant in weights}),
        "activations": sorted(activations),
        "per_channel": any(count > 1 for count in scales),
        "quantized_tensors": len(weights),
        "nodes": {k: counts[k] for k in ("QuantizeLinear", "DequantizeLinear", *sorted(integer))},
    }


def _operator(node: NodeProto) -> str:
    standard = node.domain in ("", "ai.onnx")
    return str(node.op_type) if standard else f"{node.domain}.{node.op_type}"
