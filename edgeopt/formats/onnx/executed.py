"""How much of an ONNX file a runtime computes on integers or in float16, by its own graph."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from edgeopt.agent.sessions.onnxruntime import Session
from edgeopt.formats.onnx import files
from edgeopt.formats.onnx.conversion import NARROW_WEIGHTS, on_codes
from edgeopt.formats.onnx.describe import constants, nodes
from edgeopt.models.conversion import BITS, HYBRID, INT8, OTHER, Step, hybrid, untold
from edgeopt.schema.artifact import Description

Feeds = Mapping[str, np.ndarray]
Sizes = Mapping[str, Sequence[int]]  # by input
Opening = Mapping[str, Any]  # of a session: fixed sizes, settings
MODEL = "model.onnx"
CONVOLUTIONS = ("Conv", "FusedConv", "NhwcFusedConv", "QLinearConv", "ConvInteger")
TRANSPOSED = ("ConvTranspose", "QLinearConvTranspose")
PRODUCTS = ("MatMul", "FusedMatMul", "TransposeMatMul", "MatMulInteger", "MatMulIntegerToFloat",
            "DynamicQuantizeMatMul", "QLinearMatMul", "MatMulNBits")  # fmt: skip
MATRICES = ("Gemm", "FusedGemm", "QGemm")
RECURRENT = ("GRU", "LSTM", "RNN", "DynamicQuantizeLSTM")
UNKNOWN = ("Attention", "QAttention", "MultiHeadAttention", "Einsum", "DeformConv")
PLACED = {"QLinearConv": 3, "QGemm": 3, "QLinearMatMul": 3}  # of the weights; else 1
DATA_FREE = frozenset(  # layers of OpenVINO that compute nothing
    (
        "Broadcast", "Concat", "Concatenation", "Const", "Convert", "DepthToSpace", "FakeQuantize",
        "Gather", "GatherElements", "GatherND", "Input", "MemoryInput", "MemoryOutput", "Output",
        "Pad", "Reorder", "Reshape", "ShapeOf", "SpaceToDepth", "Split", "StridedSlice", "Tile",
        "Transpose",
    )
)  # fmt: skip
WEIGHTED = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")


def zeros(description: Description) -> dict[str, np.ndarray]:
    """One batch of zeros by input; a free dimension is 1."""
    return {
        t.name: np.zeros([n if isinstance(n, int) else 1 for n in t.shape], t.dtype)
        for t in description.signature.inputs
    }


def by_onnxruntime(folder: Path, feeds: Feeds, opening: Opening) -> list[Step]:
    """The kernels of one run in the agent's session. Raises AgentError, ModelError."""
    with tempfile.TemporaryDirectory(prefix="executed-") as rough:
        graph = Path(rough) / "optimized.onnx"
        named = _named(folder, Path(rough) / "named")
        session = Session(str(named), "cpu", 1, **opening)
        executed = session.executed(session.prepare(feeds), str(graph))
        optimized = onnx.load(graph, load_external_data=False)
    held = {node.name: node for node in nodes(optimized)}
    dims = _dims(optimized)
    makers = {output: node.name for node in nodes(optimized) for output in node.output}

    def after(name: str) -> tuple[str, ...]:
        node = held.get(name)
        return tuple(makers[i] for i in node.input if i in makers) if node is not None else ()

    return [
        Step(
            each["op"],
            _kernel_precision(each),
            _kernel_macs(each, held, dims),
            each["seconds"],
            each["name"],
            after(each["name"]),
        )
        for each in executed
    ]


def _named(folder: Path, copy: Path) -> Path:
    """A folder with the same model in which each node has a name of its own: the profile and the
    optimized graph tell of one node by that."""
    model = files.read(folder / MODEL)
    names = [node.name for node in nodes(model)]
    if all(names) and len(set(names)) == len(names):
        return folder
    model = files.read_whole(folder / MODEL)
    for index, node in enumerate(nodes(model)):
        node.name = f"{node.op_type}.{index}"
    copy.mkdir()
    files.write(model, copy / MODEL)
    return copy


def _kernel_precision(each: Mapping[str, Any]) -> str:
    if on_codes(each["op"]):
        return INT8
    data = [dtype for dtype, _ in each["inputs"] if dtype in BITS]
    if not data:
        return OTHER
    if each["op"] in NARROW_WEIGHTS:
        return HYBRID
    return hybrid(data[0], data[1] if len(data) > 1 and each["op"] in RECURRENT else "")


Dims = Callable[[str], list[int] | None]


def _kernel_macs(each: Mapping[str, Any], held: Mapping[str, NodeProto], dims: Dims) -> int | None:
    """Multiply-accumulates of a kernel's run; weights are those of the optimized graph, as a
    kernel hides those that it packs."""
    op = each["op"]
    if op in UNKNOWN:
        return None
    if op not in (*CONVOLUTIONS, *TRANSPOSED, *PRODUCTS, *MATRICES, *RECURRENT):
        return 0
    inputs: list[list[int]] = [shape for _, shape in each["inputs"]]
    outputs: list[list[int]] = [shape for _, shape in each["outputs"]]
    node = held.get(each["name"])
    if not inputs or not outputs or node is None:
        return None
    if op in PRODUCTS:
        return math.prod(outputs[0]) * int(inputs[0][-1])
    if op in MATRICES:
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return math.prod(outputs[0]) * int(inputs[0][0 if transposed else 1])
    if op in RECURRENT:
        weight_shapes = [dims(name) for name in node.input[1:3]]
        each_step = sum(math.prod(shape) for shape in weight_shapes if shape is not None)
        return math.prod(inputs[0][:2]) * each_step if None not in weight_shapes else None
    weights = dims(node.input[PLACED.get(op, 1)])
    if weights is None:
        return None
    across = inputs[0] if op in TRANSPOSED else outputs[0]
    return math.prod(across) * math.prod(weights[1:])


def _dims(model: ModelProto) -> Dims:
    """Sizes of the constants that a graph holds, looked for through casts and dequantizers."""
    initializers = {t.name: list(t.dims) for t in model.graph.initializer}
    held = constants(model)
    makers = {output: node for node in nodes(model) for output in node.output}

    def sizes(name: str) -> list[int] | None:
        maker = makers.get(name)
        if name in initializers or maker is None:
            return initializers.get(name)
        if maker.op_type in ("DequantizeLinear", "Cast", "Identity"):
            return sizes(maker.input[0])
        values = [a.t for a in maker.attribute if a.HasField("t")] if name in held else []
        return list(values[0].dims) if values else None

    return sizes


def by_openvino(folder: Path, feeds: Feeds, opening: Opening) -> list[Step]:
    """The layers of OpenVINO's executed graph. Raises AgentError."""
    from edgeopt.agent.sessions.openvino import Session  # of an extra

    session = Session(str(folder), "cpu", 1, **opening)
    layers = session.executed(session.prepare(feeds))
    return [
        Step(
            each["op"],
            _layer_precision(each),
            _layer_macs(each),
            each["seconds"] or 0.0,  # not run: constants, layers that were fused into others
            each["name"],
            tuple(each["makers"]),
        )
        for each in layers
        if each["op"] not in DATA_FREE and not _dequantizes(each)
    ]


def _dequantizes(each: Mapping[str, Any]) -> bool:
    """Whether a layer takes codes that were just widened, and constants: scales, zero points."""
    makers = [maker for _, _, maker in each["inputs"]]
    return each["op"] == "Eltwise" and makers[:1] == ["Convert"] and set(makers[1:]) <= {"Const"}


def _layer_precision(each: Mapping[str, Any]) -> str:
    kinds = [dtype for dtype, _, _ in each["inputs"]]
    if each["op"] in WEIGHTED and len(kinds) > 1:
        return hybrid(kinds[0], kinds[1])
    flowing = [BITS[kind] for kind, _, maker in each["inputs"] if maker != "Const" and kind in BITS]
    return max(flowing, key=_WIDTH.__getitem__, default=OTHER)


_WIDTH = {"int4": 0, "int8": 1, "float16": 2, "float32": 4}


def _layer_macs(each: Mapping[str, Any]) -> int | None:
    """Of one sample where the batch is free; None where another size is."""
    if each["op"] not in WEIGHTED:
        return None if "Seq" in each["op"] or "Cell" in each["op"] else 0
    data, weights = (_sizes(shape) for _, shape, _ in each["inputs"][:2])
    out = _sizes(each["outputs"][0][1])
    if data is None or weights is None or out is None:
        return None
    if each["op"] in ("FullyConnected", "MatMul"):
        return math.prod(out) * data[-1]
    across = data if each["op"] == "Deconvolution" else out
    return math.prod(across) * math.prod(weights) // across[1]


def _sizes(shape: Sequence[Any]) -> list[int] | None:
    sizes = [1 if axis == 0 and n == "?" else n for axis, n in enumerate(shape)]
    return None if "?" in sizes else [int(n) for n in sizes]


TELLING: dict[str, Callable[[Path, Feeds, Opening], list[Step]]] = {
    "onnxruntime": by_onnxruntime,
    "openvino": by_openvino,
}


def steps_of(
    runtime: str,
    folder: Path,
    feeds: Feeds,
    fixed: Sizes | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Step]:
    """What a runtime of this machine executes, its session made for the ``fixed`` sizes of inputs
    and under ``settings`` of the runtime's own.

    Raises AgentError, ModelError.
    """
    if runtime not in TELLING:
        raise untold(runtime)
    yield from TELLING[runtime](folder, feeds, {"fixed": fixed, **(settings or {})})
