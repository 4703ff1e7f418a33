"""Signature and facts of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

from edgeopt.formats.onnx.files import elements, graphs
from edgeopt.models import kind
from edgeopt.models.layout import image_layout
from edgeopt.schema.artifact import BATCH, DYNAMIC, Description, Dim, Signature, Tensor
from edgeopt.schema.errors import ModelError

FLOATS: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}
BYTES = (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.UINT4)
# Where quantized operators hold weights. Other positions: scales, zero points.
QUANTIZED: dict[str, tuple[int, ...]] = {
    "DequantizeLinear": (0,),
    "QLinearConv": (3,),
    "QLinearMatMul": (0, 3),
    "ConvInteger": (0, 1),
    "MatMulInteger": (0, 1),
    "QGemm": (3,),
    "DynamicQuantizeLSTM": (1, 2),
    "DynamicQuantizeMatMul": (1,),
    "GatherBlockQuantized": (0,),
    "MatMulIntegerToFloat": (0, 1),
    "MatMulNBits": (1,),
}
FOUR_BITS = (TensorProto.INT4, TensorProto.UINT4)
BATCHES = {"batch", "batch_size", "batchsize", "Batch", "BATCH", "N"}  # names that say so

RECURRENT = ("RNN", "GRU", "LSTM")
KINDS = {
    **dict.fromkeys(("Conv", "ConvTranspose"), kind.CONVOLUTIONAL),
    **dict.fromkeys(RECURRENT, kind.RECURRENT),
    **dict.fromkeys(("MatMul", "Gemm"), kind.LINEAR),
}


@dataclass(frozen=True)
class Constant:
    """A tensor that the file holds: an initializer or a Constant node's value."""

    name: str
    dtype: int  # TensorProto.DataType
    elements: int


def describe(model: ModelProto, where: str) -> Description:
    """Signature and facts. Raises ModelError for inputs or outputs that are no tensors."""
    signature = signature_of(model, where)
    facts = set(weights_fact(model))
    if any(n.op_type == "QuantizeLinear" for n in nodes(model)):
        facts.add("qdq")
        facts |= {"int8-activations"} if _has_signed_activations(model) else set()
    if any(n.op_type.startswith("DynamicQuantize") for n in nodes(model)):
        facts.add(DYNAMIC)
    if not signature.dynamic_batch:
        facts.add("static-batch")
    return Description(
        format="onnx", signature=signature, facts=frozenset(facts), kind=_kind_of(model)
    )


def _kind_of(model: ModelProto) -> str:
    """The kind of layers with most weights."""
    held = constants(model)
    return kind.most(
        (KINDS[node.op_type], held[name].elements)
        for node in nodes(model)
        if node.op_type in KINDS
        for name in node.input[:3]
        if name in held
    )


def _has_signed_activations(model: ModelProto) -> bool:
    """Whether anything computed is quantized to int8, rather than to uint8."""
    held = constants(model)
    for node in nodes(model):
        if node.op_type == "QuantizeLinear" and node.input[0] not in held:
            zero = held.get(node.input[2]) if len(node.input) > 2 else None
            told = next((a.i for a in node.attribute if a.name == "output_dtype"), 0)
            if TensorProto.INT8 in (told, zero.dtype if zero else None):
                return True
    return False


def signature_of(model: ModelProto, where: str, *, outputs: bool = True) -> Signature:
    """Inputs (initializers left out) and, unless told otherwise, outputs in the file's order.

    The symbol that stands for the batch is the first axis of the inputs, or one of another axis
    that is named after the batch where none of the first is; it is called "batch" wherever it
    stands, whatever the file calls it.
    """
    inputs = _given(model)
    named = [[dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in inputs]
    symbols = {names[0] for names in named if names} - {""}
    if not symbols & BATCHES:
        symbols = {name for names in named for name in names if name in BATCHES} or symbols
    return Signature(
        inputs=tuple(_tensor(v, symbols, where, "input") for v in inputs),
        outputs=tuple(
            _tensor(v, symbols, where, "output") for v in (model.graph.output if outputs else ())
        ),
    )


def fix_batch(model: ModelProto, size: int) -> None:
    """Write a number in the place of the symbol that stands for the batch, or of no symbol."""
    inputs = _given(model)
    firsts = [v.type.tensor_type.shape.dim[0] for v in inputs if v.type.tensor_type.shape.dim]
    symbols = {dim.dim_param for dim in firsts} - {""}
    ends = {value.name for value in (*inputs, *model.graph.output)}
    for value in (*inputs, *model.graph.output, *model.graph.value_info):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            unnamed = axis == 0 and value.name in ends and dim.WhichOneof("value") is None
            if dim.dim_param in symbols or unnamed:
                dim.dim_value = size


def free_names(model: ModelProto) -> set[str]:
    """What the file calls the free sizes of its inputs."""
    return {d.dim_param for v in _given(model) for d in v.type.tensor_type.shape.dim} - {""}


def _given(model: ModelProto) -> list[ValueInfoProto]:
    """The graph's inputs, initializers left out."""
    held = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in held]


def call_batch(model: ModelProto, symbol: str) -> None:
    """Call a symbol ``batch`` in the inputs, the outputs and all that lies between."""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == symbol:
                dim.dim_param = BATCH


def holds_one(model: ModelProto) -> bool:
    """Whether a graph may hold a batch of 1 within: a Reshape to constants of which the first is 1,
    or a recurrent layer whose first state is a constant."""
    constants = {t.name: t for t in model.graph.initializer}
    for node in model.graph.node:
        for held in node.attribute if node.op_type == "Constant" else ():
            if held.name == "value":
                constants[node.output[0]] = held.t
    return any(
        (node.op_type == "Reshape" and _starts_with_one(constants.get(node.input[1])))
        or (node.op_type in RECURRENT and any(name in constants for name in node.input[5:6]))
        for node in model.graph.node
    )


def _starts_with_one(shape: TensorProto | None) -> bool:
    if shape is None or shape.data_location == TensorProto.EXTERNAL:
        return False
    first: list[int] = numpy_helper.to_array(shape).ravel()[:1].tolist()
    return first == [1]


def nodes(model: ModelProto) -> Iterator[NodeProto]:
    """All nodes: subgraphs' and functions' too."""
    for graph in graphs(model.graph):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def constants(model: ModelProto) -> dict[str, Constant]:
    """What the file holds, by name: initializers and Constant nodes with a tensor.

    Weights that an operator reads packed into bytes count as what they are.
    """
    by_name: dict[str, Constant] = {}
    for graph in graphs(model.graph):
        for tensor in graph.initializer:
            by_name[tensor.name] = Constant(tensor.name, tensor.data_type, elements(tensor))
    for node in nodes(model):
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    name = node.output[0]
                    by_name[name] = Constant(name, attribute.t.data_type, elements(attribute.t))
        elif packed := _packed(node, by_name):
            by_name[packed.name] = packed
    return by_name


def _packed(node: NodeProto, held: Mapping[str, Constant]) -> Constant | None:
    """The weights of an operator that unpacks them from bytes; None for another.

    Source: the schemas of ``com.microsoft`` (ONNX Runtime 1.32, docs/ContribOperators.md).
    """
    if node.op_type not in ("MatMulNBits", "GatherBlockQuantized"):
        return None
    told = {a.name: a.i for a in node.attribute}
    bits = told.get("bits", 4)
    constant = held.get(node.input[QUANTIZED[node.op_type][0]])
    if constant is None or constant.dtype != TensorProto.UINT8:
        return None
    count = told.get("K", 0) * told.get("N", 0) or constant.elements * 8 // bits
    return Constant(constant.name, TensorProto.UINT4 if bits == 4 else TensorProto.UINT8, count)


def quantized_weights(model: ModelProto) -> list[Constant]:
    """The 8-bit (or 4-bit) constants that quantized operators take as data."""
    held = constants(model)
    dequantized = {node.input[0] for node in nodes(model) if node.op_type == "DequantizeLinear"}
    names = dict.fromkeys(
        node.input[position]
        for node in nodes(model)
        for position in (
            (0,) if dequantized.intersection(node.output) else QUANTIZED.get(node.op_type, ())
        )
        if position < len(node.input)
    )
    return [held[name] for name in names if name in held and held[name].dtype in BYTES]


def dtype_name(elem_type: int) -> str:
    """numpy's name of an ONNX element type ("bfloat16" and the like by ml_dtypes)."""
    return str(onnx.helper.tensor_dtype_to_np_dtype(elem_type))


def weights_fact(model: ModelProto) -> Iterable[str]:
    """``int8`` or ``int4`` if any weight is quantized, by what most of those are; else the dtype of
    the bulk of the float weights."""
    if narrow := quantized_weights(model):
        four = sum(c.elements if c.dtype in FOUR_BITS else -c.elements for c in narrow)
        return ("int4" if four > 0 else "int8",)
    counts = dict.fromkeys(FLOATS, 0)
    for constant in constants(model).values():
        if constant.dtype in counts:
            counts[constant.dtype] += constant.elements
    bulk = max(counts, key=lambda dtype: counts[dtype])
    return (FLOATS[bulk],)


def _tensor(value: ValueInfoProto, batch: set[str], where: str, role: str) -> Tensor:
    held = value.type.WhichOneof("value")
    if held != "tensor_type":
        said = (held or "an unknown type").removesuffix("_type")
        raise ModelError(f"{role} '{value.name}' is not a tensor but {said}", where=where)
    tensor_type = value.type.tensor_type
    if tensor_type.elem_type in (TensorProto.STRING, TensorProto.UNDEFINED):
        name = TensorProto.DataType.Name(tensor_type.elem_type).lower()
        raise ModelError(f"{role} '{value.name}' holds elements of type {name}", where=where)
    if role == "input" and not tensor_type.HasField("shape"):
        raise ModelError(f"input '{value.name}' has no shape, not even a rank", where=where)
    shape: list[Dim] = []
    elsewhere = any(dim.dim_param in batch for dim in tensor_type.shape.dim)
    for axis, dim in enumerate(tensor_type.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            shape.append(dim.dim_value)
        elif dim.dim_param in batch or (axis == 0 and not dim.dim_param and not elsewhere):
            shape.append(BATCH)
        else:
            shape.append(dim.dim_param or f"{value.name}.{axis}")
    layout = image_layout(shape)
    return Tensor(
        name=value.name, dtype=dtype_name(tensor_type.elem_type), shape=tuple(shape), layout=layout
    )
