"""A pass that converted nothing is a refusal that names the cause.

The file of such a pass would be the source under another name, or differ from what the pass
predicted without a word why. Each test takes a pass, a format and a scheme, and a network of
which it can convert nothing: the error says where the weights are, or that there are none, and
what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from passes_bench import Context

from edgeopt.formats import format_named
from edgeopt.formats.tflite import files
from edgeopt.passes.fp16_onnx import Fp16 as Fp16Onnx
from edgeopt.passes.fp16_tflite import Fp16 as Fp16Tflite
from edgeopt.passes.qat_torch import Qat
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8 as Int8Onnx
from edgeopt.passes.quantize_int8_tflite import QuantizeInt8 as Int8Tflite
from edgeopt.schema.errors import PassError
from edgeopt.step import Pass

pytestmark = pytest.mark.extras
Node = helper.make_node
ONNX_SCHEMES = ("u8s8", "u8s8-reduced", "u8s8-safe", "s8s8")
TFLITE_SCHEMES = ("static", "static-int8-io", "dynamic", "weight-only")


def refusal(step: Pass, folder: Path, parent: Any, **arrays: np.ndarray) -> PassError:
    """What the pass says of a model that it takes by its description."""
    given, rough = folder / "given", folder / "rough"
    given.mkdir()
    rough.mkdir()
    fmt = format_named(step.takes)
    fmt.save(parent, given)
    described = fmt.describe(given)
    step.requires(described)
    with pytest.raises(PassError) as caught:
        step.run(fmt.load(given), Context(rough, described, arrays))
    return caught.value


# -- ONNX


def held(name: str, *shape: int) -> onnx.TensorProto:
    values = np.random.default_rng(sum(shape)).normal(0, 0.3, shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def model(
    nodes: Sequence[Any], weights: Sequence[Any], x: Sequence[int], y: Sequence[int]
) -> onnx.ModelProto:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "net",
        [info("x", TensorProto.FLOAT, ["batch", *x])],
        [info("y", TensorProto.FLOAT, ["batch", *y])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def first_alone(scaled: bool) -> onnx.ModelProto:
    """One 3x3 convolution over colours; then, it may be, a factor for each channel."""
    nodes = [Node("Conv", ["x", "w"], ["c" if scaled else "y"], pads=[1] * 4, name="stem")]
    weights = [held("w", 4, 3, 3, 3)]
    if scaled:
        nodes.append(Node("Mul", ["c", "k"], ["y"]))
        weights.append(held("k", 1, 4, 1, 1))
    return model(nodes, weights, (3, 8, 8), (4, 8, 8))


def gru(scaled: bool) -> onnx.ModelProto:
    """A GRU and the last of its states; then, it may be, a factor."""
    nodes = [
        Node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        Node("GRU", ["t", "W", "R"], ["", "h"], hidden_size=16),
        Node("Squeeze", ["h", "first"], ["s" if scaled else "y"]),
    ]
    weights = [
        held("W", 1, 48, 8),
        held("R", 1, 48, 16),
        numpy_helper.from_array(np.array([0], np.int64), "first"),
    ]
    if scaled:
        nodes.append(Node("Mul", ["s", "k"], ["y"]))
        weights.append(held("k", 16))
    return model(nodes, weights, (5, 8), (16,))


def weightless() -> onnx.ModelProto:
    """A product of the input with itself, and a sigmoid."""
    nodes = [Node("MatMul", ["x", "x"], ["a"]), Node("Sigmoid", ["a"], ["y"])]
    return model(nodes, [], (4, 4), (4, 4))


def rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(8, *shape)).astype(np.float32)


@pytest.mark.parametrize("scheme", ONNX_SCHEMES)
@pytest.mark.parametrize("scaled", [False, True], ids=["alone", "scaled"])
def test_a_first_convolution_that_is_spared_is_named(
    tmp_path: Path, scheme: Any, scaled: bool
) -> None:
    """``float_stem`` spares the only convolution; codes for a factor alone are no INT8 network."""
    error = refusal(Int8Onnx(scheme=scheme), tmp_path, first_alone(scaled), x=rows(3, 8, 8))
    assert "first convolution" in error.what and "'stem'" in error.what
    assert "float_stem: false" in error.hint


@pytest.mark.parametrize("scheme", ONNX_SCHEMES)
@pytest.mark.parametrize("scaled", [False, True], ids=["alone", "scaled"])
def test_a_gru_that_the_quantizer_leaves_is_named(
    tmp_path: Path, scheme: Any, scaled: bool
) -> None:
    """ONNX Runtime's quantizer knows no GRU."""
    error = refusal(Int8Onnx(scheme=scheme), tmp_path, gru(scaled), x=rows(5, 8))
    assert "GRU" in error.what and "float_stem" not in error.hint


@pytest.mark.parametrize("step", [Int8Onnx(scheme="u8s8"), Fp16Onnx()], ids=lambda s: s.name)
def test_an_onnx_network_without_weights_is_told_so(tmp_path: Path, step: Pass) -> None:
    """Nothing to quantize, and nothing to halve."""
    error = refusal(step, tmp_path, weightless(), x=rows(4, 4))
    assert "no weights" in error.what


def test_weights_that_the_float16_converter_leaves_are_named(tmp_path: Path) -> None:
    """Max is on the converter's list of operators that stay float32, its constant with it."""
    nodes = [Node("Max", ["x", "floor"], ["y"])]
    error = refusal(Fp16Onnx(), tmp_path, model(nodes, [held("floor", 8)], (8,), (8,)), x=rows(8))
    assert "Max" in error.what and "float32" in error.what


# -- TFLite


def tflite_model(kind: str, table: tuple[int, int] | None = None) -> bytes:
    """One elementwise operator by a constant, an embedding, or a TANH; with a signature."""
    from ai_edge_litert import schema_py_generated as schema

    types = schema.TensorType
    made = schema.ModelT()
    made.version, made.description = 3, b"test"
    made.buffers = [schema.BufferT(), schema.BufferT()]
    shape = [8] if table is None else list(table)
    values = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    made.buffers[1].data = np.frombuffer(values.tobytes(), np.uint8)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = 1
    made.operatorCodes = [code]
    graph = schema.SubGraphT()
    graph.name, graph.tensors = b"main", []
    ids = kind == "EMBEDDING_LOOKUP"
    for name, sizes, buffer, type_ in (
        (b"x", [1] if ids else [1, 8], 0, types.INT32 if ids else types.FLOAT32),
        (b"k", shape, 1, types.FLOAT32),
        (b"y", [1, shape[-1]], 0, types.FLOAT32),
    ):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer, tensor.type = name, sizes, buffer, type_
        graph.tensors.append(tensor)
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs, op.outputs = 0, [0] if kind == "TANH" else [0, 1], [2]
    if kind == "MUL":
        op.builtinOptionsType = schema.BuiltinOptions.MulOptions
        op.builtinOptions = schema.MulOptionsT()
    if kind == "TANH":
        graph.tensors[1:2] = []
        op.outputs = [1]
    graph.operators, graph.inputs, graph.outputs = [op], [0], list(op.outputs)
    made.subgraphs = [graph]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    for side, name, index in (("inputs", b"x", 0), ("outputs", b"y", int(op.outputs[0]))):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        setattr(signature, side, [entry])
    made.signatureDefs = [signature]
    return files.pack(made)


TFLITE = [*(Int8Tflite(scheme=scheme) for scheme in TFLITE_SCHEMES), Fp16Tflite()]  # type: ignore[arg-type]


@pytest.mark.parametrize("step", TFLITE, ids=lambda step: step.label)
def test_constants_that_the_tflite_quantizer_leaves_are_named(tmp_path: Path, step: Pass) -> None:
    """ai-edge-quantizer converts a constant of an elementwise operator with its activations, or
    not at all: no weights either way."""
    error = refusal(step, tmp_path, tflite_model("MUL"), x=rows(8))
    assert "MUL" in error.what
    assert ("ai-edge-quantizer" in error.what) == ("static" not in step.label)


@pytest.mark.parametrize("step", TFLITE, ids=lambda step: step.label)
def test_a_tflite_network_without_weights_is_told_so(tmp_path: Path, step: Pass) -> None:
    """A TANH has nothing to convert."""
    error = refusal(step, tmp_path, tflite_model("TANH"), x=rows(8))
    assert "no weights" in error.what


@pytest.mark.parametrize("scheme", ["static", "static-int8-io"])
def test_an_embedding_alone_is_for_other_schemes(tmp_path: Path, scheme: Any) -> None:
    """``static`` leaves the table in float32; ``dynamic`` and ``weight-only`` take it."""
    x = np.arange(8, dtype=np.int32)
    error = refusal(
        Int8Tflite(scheme=scheme), tmp_path, tflite_model("EMBEDDING_LOOKUP", (20, 16)), x=x
    )
    assert "EMBEDDING_LOOKUP" in error.what and "dynamic" in error.hint


# -- qat


def test_qat_names_a_first_convolution_that_is_spared() -> None:
    """As ``quantize-int8`` does: its ``float_stem`` is the same."""
    import torch

    class First(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x).mean((2, 3))

    with pytest.raises(PassError) as caught:
        Qat(scheme="u8s8", epochs=1)(First(), {"train": rows(3, 8, 8), "validation": rows(3, 8, 8)})
    assert "first convolution" in caught.value.what and "float_stem: false" in caught.value.hint


def test_qat_names_what_holds_the_weights_that_it_leaves() -> None:
    """Layers of other kinds are named by their class."""
    import torch

    class Recurrent(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = torch.nn.GRU(8, 16, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.gru(x)[0][:, -1]

    with pytest.raises(PassError) as caught:
        Qat(scheme="int8", epochs=1)(Recurrent(), {"train": rows(5, 8), "validation": rows(5, 8)})
    assert "GRU" in caught.value.what
