"""TFLite files that are written by hand, and read as a user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeopt.formats import format_named
from edgeopt.formats.tflite import files

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
