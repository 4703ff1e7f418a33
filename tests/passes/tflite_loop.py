"""A TFLite network with a loop, written by hand: no converter is needed."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

SIZE = 8
INT32, FLOAT32 = schema.TensorType.INT32, schema.TensorType.FLOAT32


class _Graph:
    def __init__(self, model: Any, name: str) -> None:
        self.model, self.rng = model, np.random.default_rng(len(model.subgraphs))
        self.graph = schema.SubGraphT()
        self.graph.name, self.graph.tensors, self.graph.operators = name.encode(), [], []
        model.subgraphs.append(self.graph)

    def tensor(
        self, name: str, shape: tuple[int, ...], values: Any = None, kind: int = FLOAT32
    ) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), list(shape), kind, 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            made.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def add(self, name: str, taken: list[int], given: list[int], **options: int) -> None:
        """An operator, such as WHILE, with its options."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        self.model.operatorCodes.append(code)
        made, kind = schema.OperatorT(), f"{name.title().replace('_', '')}Options"
        made.opcodeIndex, made.inputs, made.outputs = (
            len(self.model.operatorCodes) - 1,
            taken,
            given,
        )
        made.builtinOptions = getattr(schema, f"{kind}T")()
        made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        for option, value in options.items():
            setattr(made.builtinOptions, option, value)
        self.graph.operators.append(made)

    def layer(self, name: str, taken: int) -> int:
        weight = self.rng.normal(0, 0.3, (SIZE, SIZE)).astype(np.float32)
        held = [
            self.tensor(f"{name}/weight", (SIZE, SIZE), weight),
            self.tensor(f"{name}/bias", (SIZE,), np.ones(SIZE, np.float32)),
        ]
        given = self.tensor(name, (1, SIZE))
        self.add("FULLY_CONNECTED", [taken, *held], [given])
        return given

    def ends(self, taken: list[int], given: list[int]) -> None:
        self.graph.inputs, self.graph.outputs = taken, given


def looped() -> bytes:
    """``x`` (1, 8): a layer, a layer three times in a loop, and a layer again: ``y``."""
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT()]
    model.operatorCodes, model.subgraphs = [], []
    main, condition, body = (_Graph(model, name) for name in ("main", "condition", "body"))
    x, zero = main.tensor("x", (1, SIZE)), main.tensor("zero", (), np.int32(0), INT32)
    after = [main.tensor("count", (), None, INT32), main.tensor("state", (1, SIZE))]
    first = main.layer("first", x)
    main.add("WHILE", [zero, first], after, condSubgraphIndex=1, bodySubgraphIndex=2)
    y = main.layer("last", after[1])
    main.ends([x], [y])
    for graph in (condition, body):
        name = graph.graph.name.decode()  # ai-edge-quantizer wants no name twice in a file
        graph.tensor(f"{name}/i", (), None, INT32)
        graph.tensor(f"{name}/s", (1, SIZE))
    three = condition.tensor("three", (), np.int32(3), INT32)
    goes_on = condition.tensor("goes_on", (), None, schema.TensorType.BOOL)
    condition.add("LESS", [0, three], [goes_on])
    condition.ends([0, 1], [goes_on])
    one, more = body.tensor("one", (), np.int32(1), INT32), body.tensor("j", (), None, INT32)
    body.add("ADD", [0, one], [more])
    body.ends([0, 1], [more, body.layer("inner", 1)])
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    signature.inputs, signature.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
    for (named,), name, index in ((signature.inputs, b"x", x), (signature.outputs, b"y", y)):
        named.name, named.tensorIndex = name, index
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1 << 14)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
