"""Small TFLite networks written operator by operator, and what tests do with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from passes_bench import Context

from edgeopt.formats import format_named
from edgeopt.formats.tflite import files
from edgeopt.step import Pass

Array = np.ndarray
OPTIONS = {  # operator -> class of its options
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "ADD": "AddOptions",
    "MUL": "MulOptions",
}


class Network:
    """A graph with the input ``x``; operators are added one after the other."""

    def __init__(self, *shape: int) -> None:
        self.schema = files.schema()
        self.model, self.graph = self.schema.ModelT(), self.schema.SubGraphT()
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.buffers, self.model.operatorCodes = [self.schema.BufferT()], []
        self.graph.name, self.graph.tensors, self.graph.operators = b"main", [], []
        self.graph.inputs = [self.tensor("x", shape)]

    def tensor(self, name: str, shape: Sequence[int], buffer: int = 0, dtype: str = "") -> int:
        made = self.schema.TensorT()
        made.name, made.shape, made.buffer = name.encode(), list(shape), buffer
        made.type = getattr(self.schema.TensorType, dtype or "FLOAT32")
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def constant(self, name: str, values: Array) -> int:
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        dtype = {"float32": "FLOAT32", "int32": "INT32"}[values.dtype.name]
        return self.tensor(name, values.shape, len(self.model.buffers) - 1, dtype)

    def add(self, kind: str, inputs: Sequence[int], shape: Sequence[int], **options: Any) -> int:
        """An operator; gives its output, which is called after its place."""
        code = self.schema.OperatorCodeT()
        number = getattr(self.schema.BuiltinOperator, kind)
        code.builtinCode, code.version = number, 1
        code.deprecatedBuiltinCode = min(number, 127)
        self.model.operatorCodes.append(code)
        op = self.schema.OperatorT()
        op.opcodeIndex, op.inputs = len(self.model.operatorCodes) - 1, list(inputs)
        op.builtinOptionsType = getattr(self.schema.BuiltinOptions, OPTIONS[kind])
        op.builtinOptions = getattr(self.schema, OPTIONS[kind] + "T")()
        for name, value in options.items():
            setattr(op.builtinOptions, name, value)
        op.outputs = [self.tensor(f"y{len(self.graph.operators)}", shape)]
        self.graph.operators.append(op)
        return int(op.outputs[0])

    def layer(self, kind: str, data: int, weight: Array | int, bias: Array | None = None) -> int:
        """A weighted operator over pixels, or over the last axis; strides of 1, no padding."""
        count = len(self.graph.operators)
        held = weight if isinstance(weight, int) else self.constant(f"w{count}", weight)
        inputs = [data, held, -1 if bias is None else self.constant(f"b{count}", bias)]
        before = list(self.graph.tensors[data].shape)
        sizes = list(self.graph.tensors[held].shape)
        strides = {"strideW": 1, "strideH": 1, "padding": self.schema.Padding.VALID}
        if kind == "FULLY_CONNECTED":
            return self.add(kind, inputs, [before[0], sizes[0]])
        pixels = [n - k + 1 for n, k in zip(before[1:3], sizes[1:3], strict=True)]
        if kind == "DEPTHWISE_CONV_2D":
            shape = [before[0], *pixels, sizes[3]]
            return self.add(kind, inputs, shape, depthMultiplier=sizes[3] // before[3],
                            dilationWFactor=1, dilationHFactor=1, **strides)  # fmt: skip
        if kind == "TRANSPOSE_CONV":
            pixels = [n + k - 1 for n, k in zip(before[1:3], sizes[1:3], strict=True)]
            shape = [before[0], *pixels, sizes[0]]
            told = self.constant(f"s{count}", np.array(shape, np.int32))
            inputs = [told, held, data, *inputs[2:]]
            self.graph.tensors[told].shape = [4]
            return self.add(kind, inputs, shape, **strides)
        return self.add(kind, inputs, [before[0], *pixels, sizes[0]],
                        dilationWFactor=1, dilationHFactor=1, **strides)  # fmt: skip

    def packed(self, *outputs: int) -> bytes:
        """The file's bytes, with one signature."""
        self.graph.outputs = list(outputs)
        signature = self.schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs = [self._named("x", self.graph.inputs[0])]
        signature.outputs = [self._named(f"out{i}", index) for i, index in enumerate(outputs)]
        self.model.signatureDefs = [signature]
        return files.pack(self.model)

    def _named(self, name: str, index: int) -> Any:
        made = self.schema.TensorMapT()
        made.name, made.tensorIndex = name.encode(), index
        return made


def applied(step: Pass, content: bytes, folder: Path, samples: Array) -> bytes:
    """What a pass makes of a file, calibrated with samples of ``x``, (n, ...)."""
    for name in ("in", "rough"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    tflite = format_named("tflite")
    tflite.save(content, folder / "in")
    described = tflite.describe(folder / "in")
    made: bytes = step.run(
        tflite.load(folder / "in"), Context(folder / "rough", described, {"x": samples})
    )
    return made


def answers(content: bytes, samples: Array, *, delegated: bool = True) -> Array:
    """The first output for samples of ``x``, one after the other; with XNNPACK or without."""
    from ai_edge_litert import interpreter as litert

    resolvers = litert.OpResolverType
    kernels = resolvers.AUTO if delegated else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    model = litert.Interpreter(
        model_content=content, num_threads=1, experimental_op_resolver_type=kernels
    )
    model.allocate_tensors()
    (taken,), given = model.get_input_details(), model.get_output_details()[0]
    found = []
    for x in samples:
        model.set_tensor(taken["index"], x[np.newaxis])
        model.invoke()
        found.append(model.get_tensor(given["index"]))
    return np.concatenate(found)


def sqnr_db(want: Array, got: Array) -> float:
    """Signal over noise in decibels."""
    noise = float(np.square(want.astype(np.float64) - got).mean()) or 1e-300
    return 10 * float(np.log10(np.square(want.astype(np.float64)).mean() / noise))


def quantization_of(content: bytes) -> Mapping[str, tuple[Array, Array]]:
    """(scales, zero points) of the tensors that have some, by name."""
    tensors = files.unpack(content, "a quantized model").subgraphs[0].tensors
    return {
        files.text(t.name): (np.array(t.quantization.scale), np.array(t.quantization.zeroPoint))
        for t in tensors
        if t.quantization is not None and t.quantization.scale is not None
    }
