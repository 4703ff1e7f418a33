"""How much of an ONNX file is quantized or float16, by the file alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import onnx
from onnx import ModelProto, NodeProto, TensorProto

from edgeopt.formats.conversion import BITS, FLOAT, HALF, INT8, OTHER, Form, Step, hybrid, summed
from edgeopt.formats.onnx.describe import constants, dtype_name, nodes
from edgeopt.formats.onnx.files import graphs
from edgeopt.formats.onnx.inspect import count_macs, macs_by_node, parameters
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
CODES = (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.UINT4,
         TensorProto.INT32)  # fmt: skip
HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
ON_CODES = ("QGemm", "QAttention", "MatMulInteger", "ConvInteger", "MatMulIntegerToFloat",
            "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")  # fmt: skip
NARROW_WEIGHTS = ("MatMulNBits", "MatMulBnb4", "GatherBlockQuantized")  # beside float activations


def by_file(model: ModelProto, form: Form) -> Conversion:
    """What the file says: an operator between DequantizeLinear and weights of 8 bits is meant to
    run on integers, whatever a runtime makes of it. ``model`` needs no large weights in memory.
    """
    return summed(form, held_weights(model), _steps(model), count_macs(model)[0], FREE)


def held_weights(model: ModelProto) -> dict[tuple[str, str], int]:
    """Parameters by (operator that uses them, precision they are held in)."""
    users = {name: node.op_type for node in reversed(list(nodes(model))) for name in node.input}
    found: Counter[tuple[str, str]] = Counter()
    for constant in parameters(model):
        narrow = INT8 if constant.dtype in CODES else HALF if constant.dtype in HALVES else FLOAT
        found[users.get(constant.name, "unused"), narrow] += constant.elements
    return dict(found)


def on_codes(op: str) -> bool:
    """Whether an operator computes with integers whatever types its inputs have."""
    return op.startswith("QLinear") or op in ON_CODES


def _steps(model: ModelProto) -> Iterator[Step]:
    macs = {node.output[0]: count for node, count in macs_by_node(model) if node.output}
    types, makers = _types(model), {o: n for n in nodes(model) for o in n.output}
    for node in nodes(model):
        precision = _precision(node, types, makers)
        yield Step(node.op_type, precision, macs.get(next(iter(node.output), ""), 0))


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
    found = {name: dtype_name(constant.dtype) for name, constant in constants(model).items()}
    for graph in graphs(known):
        for value in (*graph.value_info, *graph.input, *graph.output):
            if value.type.tensor_type.elem_type:
                found[value.name] = dtype_name(value.type.tensor_type.elem_type)
    return found
