"""TFLite files: described by themselves, and refused by name where they are not sound."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeopt.agent.sessions.litert import Session, placed
from edgeopt.formats import format_named, format_of
from edgeopt.formats.tflite import files
from edgeopt.schema.errors import ModelError

TFLITE = format_named("tflite")


def written(
    path: Path,
    *,
    batch: int = 1,
    free: bool = False,
    custom: str = "",
    dtype: int = schema.TensorType.FLOAT32,
    scale: float | None = None,
    signature: bool = True,
) -> Path:
    """A model of one fully connected layer, 4 to 3, or of one custom operator."""
    model = schema.ModelT()
    model.version, model.description = 3, b"test"
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    model.buffers = [schema.BufferT() for _ in range(2)]
    model.buffers[0].data = None
    model.buffers[1].data = np.frombuffer(weights.tobytes(), np.uint8)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    if custom:
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = custom.encode()
    code.version = 1
    model.operatorCodes = [code]
    graph = schema.SubGraphT()
    graph.name = b"main"
    graph.tensors = [
        _tensor(b"x", [batch, 4], dtype, free=free, scale=scale),
        _tensor(b"w", [3, 4], schema.TensorType.FLOAT32, buffer=1),
        _tensor(b"y", [batch, 3], dtype, free=free, scale=scale),
    ]
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs, op.outputs = 0, [0, 1, -1], [2]
    if not custom:
        op.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        op.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators, graph.inputs, graph.outputs = [op], [0], [2]
    model.subgraphs = [graph]
    if signature:
        model.signatureDefs = [_signature()]
    path.write_bytes(files.pack(model))
    return path


def _tensor(
    name: bytes, shape: list[int], dtype: int, *, buffer: int = 0, free: bool = False,
    scale: float | None = None,
) -> Any:  # fmt: skip
    made = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = name, shape, dtype, buffer
    if free:
        made.shapeSignature = [-1, *shape[1:]]
    if scale is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [scale], [3]
    return made


def _signature() -> Any:
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = b"serving_default", 0
    sides = []
    for name, index in ((b"features", 0), (b"scores", 2)):
        tensor = schema.TensorMapT()
        tensor.name, tensor.tensorIndex = name, index
        sides.append([tensor])
    made.inputs, made.outputs = sides
    return made


def gathered(path: Path, into: Path) -> Path:
    into.mkdir()
    TFLITE.gather({"path": path.name}, path.parent, into, {})
    return into


def test_names_are_the_signature_s_or_else_the_tensors_own(tmp_path: Path) -> None:
    for signed, names in ((True, ("features", "scores")), (False, ("x", "y"))):
        path = written(tmp_path / f"{signed}.tflite", signature=signed)
        found = TFLITE.describe(gathered(path, tmp_path / f"held-{signed}"))
        (taken,), (given,) = found.signature.inputs, found.signature.outputs
        assert (taken.name, given.name) == names
        assert found.facts == {"float32", "static-batch"}


def test_a_model_runs_as_its_arithmetic_says(tmp_path: Path) -> None:
    folder = gathered(written(tmp_path / "m.tflite"), tmp_path / "held")
    x = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
    found = TFLITE.runner(folder)({"features": x})
    np.testing.assert_allclose(found["scores"], x @ np.arange(12.0).reshape(3, 4).T)
    told = TFLITE.inspect(folder)
    assert (told.parameters, told.macs, told.operators) == (12, 12, {"FULLY_CONNECTED": 1})


def test_a_free_batch_takes_any_number_of_samples(tmp_path: Path) -> None:
    folder = gathered(written(tmp_path / "m.tflite", free=True), tmp_path / "held")
    found = TFLITE.describe(folder)
    assert found.signature.inputs[0].shape == ("batch", 4) and "static-batch" not in found.facts
    session = Session(str(folder), "cpu", 1)
    for n in (1, 5, 2):
        x = np.ones((n, 4), np.float32)
        (scores,) = session.call(session.prepare({"features": x}))
        assert scores.shape == (n, 3)


def test_every_operator_is_placed_once(tmp_path: Path) -> None:
    folder = gathered(written(tmp_path / "m.tflite"), tmp_path / "held")
    assert Session(str(folder), "cpu", 1).placement([]) == {"XNNPACK": 1}
    plain = [
        {"op_name": "A", "inputs": [0], "outputs": [1]},
        {"op_name": "B", "inputs": [1], "outputs": [2]},
        {"op_name": "C", "inputs": [2], "outputs": [3]},
    ]
    assert placed(plain) == {"built-in kernels": 3}
    delegate = {"op_name": "DELEGATE", "inputs": [1], "outputs": [2]}
    assert placed([*plain, delegate]) == {"XNNPACK": 1, "built-in kernels": 2}


@pytest.mark.parametrize("cut", [0.0, 0.01, 0.3, 0.9, 0.99])
def test_truncated_files_are_refused_by_name(tmp_path: Path, cut: float) -> None:
    path = written(tmp_path / "short.tflite")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(ModelError) as caught:
        files.check(path)
    assert "short.tflite" in str(caught.value)


def test_mutated_files_are_refused_or_run_and_nothing_else(tmp_path: Path) -> None:
    content = written(tmp_path / "m.tflite").read_bytes()
    refused = 0
    for seed in range(150):
        rng = random.Random(seed)
        changed = bytearray(content)
        for _ in range(rng.choice([1, 3, 10])):
            changed[rng.randrange(8, len(changed))] = rng.randrange(256)
        path = tmp_path / "mutated.tflite"
        path.write_bytes(changed)
        try:
            folder = tmp_path / f"held-{seed}"
            TFLITE.describe(gathered(path, folder))
            TFLITE.inspect(folder)
        except ModelError as error:
            refused += 1
            assert "tflite" in error.where
    assert 20 < refused < 150, "some changes are harmless, such as those of weights"


def test_a_custom_operator_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "custom.tflite", custom="Landmarks2Tensor")
    with pytest.raises(ModelError, match=r"custom operator Landmarks2Tensor"):
        gathered(path, tmp_path / "held")


def test_elements_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "m.tflite", dtype=schema.TensorType.STRING, custom="Split")
    with pytest.raises(ModelError):
        gathered(path, tmp_path / "held")


@pytest.mark.parametrize(
    ("start", "said"),
    [(b"PK\x03\x04", "zip"), (b"\x89HDF\r\n\x1a\n", "HDF5"), (b"\x08\x0a", "ONNX"), (b"", "")],
)
def test_other_formats_are_named(tmp_path: Path, start: bytes, said: str) -> None:
    path = tmp_path / "other.tflite"
    path.write_bytes(start + b"\0" * 20)
    with pytest.raises(ModelError, match="no TFLite model") as caught:
        files.check(path)
    assert said in caught.value.hint


def test_the_format_is_known_by_suffix_or_folder(tmp_path: Path) -> None:
    folder = gathered(written(tmp_path / "m.TFLITE"), tmp_path / "held")
    assert format_of(tmp_path / "m.TFLITE") == format_of(folder) == "tflite"


def test_packing_keeps_every_byte_that_counts(tmp_path: Path) -> None:
    path = written(tmp_path / "m.tflite")
    model = files.read(path)
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), files.IDENTIFIER)
    assert files.pack(model) == bytes(builder.Output())
    assert files.pack(files.unpack(files.pack(model), "")) == files.pack(model)
