"""How much of an ONNX file is quantized or float16, by the file alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import onnx
from onnx import ModelProto, NodeProto, TensorProto

from edgeopt.formats.onnx.describe import FOUR_BITS, constants, dtype_name, nodes
from edgeopt.formats.onnx.files import graphs
from edgeopt.formats.onnx.inspect import MACS, count_macs, macs_by_node, parameters
from edgeopt.models.conversion import (
    BITS,
    FLOAT,
    HALF,
    INT4,
    INT8,
    OTHER,
    Form,
    Step,
    hybrid,
    left_in_float,
    summed,
)
from edgeopt.schema.conversion import Conversion

FREE = frozenset(  # they move values, or say what they are, and compute nothing
    (
        "Cast", "CastLike", "Concat", "Constant", "ConstantOfShape", "DepthToSpace",
        "DequantizeLinear", "DynamicQuantizeLinear", "Expand", "Flatten", "Gather",
        "GatherElements", "GatherND", "Identity", "If", "Loop", "MemcpyFromHost", "MemcpyToHost",
        "Pad", "QuantizeLinear", "ReorderInput", "ReorderOutput", "Reshape", "ReverseSequence",
        "Scan", "ScatterElements", "ScatterND", "Shape", "Size", "Slice", "SpaceToDepth", "Split",
        "Squeeze", "Tile", "Transpose", "Unsqueeze",
    )
)  # fmt: skip
CODES: dict[int, str] = {
    **dict.fromkeys((TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32), INT8),
    **dict.fromkeys((TensorProto.FLOAT16, TensorProto.BFLOAT16), HALF),
    **dict.fromkeys(FOUR_BITS, INT4),
}
FEW = 0.05  # share of the weights that is nothing beside products in float32
ON_CODES = ("QGemm", "QAttention", "MatMulInteger", "ConvInteger", "MatMulIntegerToFloat",
            "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")  # fmt: skip
NARROW_WEIGHTS = ("MatMulNBits", "MatMulBnb4", "GatherBlockQuantized")  # beside float activations


def by_file(model: ModelProto, form: Form, size_bytes: int) -> Conversion:
    """What the file says: an operator between DequantizeLinear and weights of 8 bits is meant to
    run on integers, whatever a runtime makes of it. ``model`` needs no large weights in memory.
    """
    return summed(form, held_weights(model), _steps(model), total_macs(model), FREE, size_bytes)


def held_weights(model: ModelProto) -> dict[tuple[str, str], int]:
    """Parameters by (operator that uses them, precision they are held in)."""
    users: dict[str, str] = {}
    for node in reversed(list(nodes(model))):
        through = node.op_type in ("Cast", "DequantizeLinear", "Identity")  # what is behind it
        user = users.get(node.output[0], node.op_type) if through else node.op_type
        users |= dict.fromkeys(node.input, user)
    counts: Counter[tuple[str, str]] = Counter()
    for constant in parameters(model):
        narrow = CODES.get(constant.dtype, FLOAT)
        counts[users.get(constant.name, "unused"), narrow] += constant.elements
    return dict(counts)


def unquantized(model: ModelProto, spared: Sequence[str]) -> str:
    """Why nothing that matters was quantized; empty where something was.

    Codes for a few constants, of factors and the like, do not count beside products of float32
    weights. ``spared`` are nodes left in float.
    """
    weights = held_weights(model)
    narrow = sum(n for (_, precision), n in weights.items() if precision in (INT8, INT4))
    products = {precision for op, precision in weights if op in MACS}
    few = narrow < FEW * sum(weights.values()) and products == {FLOAT}
    if narrow and not few:
        return ""
    first = [n.name for n in nodes(model) if n.name in spared and n.op_type == "Conv"]
    return left_in_float(weights, "ONNX Runtime's quantizer", first)


def total_macs(model: ModelProto) -> int | None:
    """Of one sample; None where shapes do not tell, or some lie in subgraphs and functions."""
    main = sum(node.op_type in MACS for node in model.graph.node)
    inner = sum(node.op_type in MACS for node in nodes(model)) - main
    return None if inner else count_macs(model)[0]


def on_codes(op: str) -> bool:
    """Whether an operator computes with integers whatever types its inputs have."""
    return op.startswith("QLinear") or op in ON_CODES


def _steps(model: ModelProto) -> Iterator[Step]:
    macs = {node.output[0]: count for node, count in macs_by_node(model) if node.output}
    types, makers = _types(model), {o: n for n in nodes(model) for o in n.output}
    for node in nodes(model):
        precision = _precision(node, types, makers)
        unknown = None if node.op_type in MACS else 0  # it lies in a subgraph
        yield Step(node.op_type, precision, macs.get(next(iter(node.output), ""), unknown))


def _precision(node: NodeProto, types: dict[str, str], makers: dict[str, NodeProto]) -> str:
    if on_codes(node.op_type):
        return INT8

    def type_of(name: str) -> str:
        """The type of codes where a tensor was dequantized just before."""
        maker = makers.get(name)
        if maker is not None and maker.op_type == "DequantizeLinear":
            return types.get(maker.input[0]) or "int8"
        return types.get(name, "")

    data = [kind for name in node.input if name and (kind := type_of(name)) in BITS]
    if not data:
        return OTHER
    if node.op_type in NARROW_WEIGHTS:
        return hybrid(data[0], "int8")
    return hybrid(data[0], data[1] if len(data) > 1 and _weighs(node) else "")


def _weighs(node: NodeProto) -> bool:
    return node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul", "GRU", "LSTM", "RNN")


def _types(model: ModelProto) -> dict[str, str]:
    """numpy's name of each tensor's type, as far as it is known."""
    try:
        known = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # a node that inference cannot read; what is known stands
        known = model.graph
    dtypes = {name: dtype_name(constant.dtype) for name, constant in constants(model).items()}
    for graph in graphs(known):
        for value in (*graph.value_info, *graph.input, *graph.output):
            if value.type.tensor_type.elem_type:
                dtypes[value.name] = dtype_name(value.type.tensor_type.elem_type)
    return dtypes
