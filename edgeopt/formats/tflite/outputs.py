"""One tensor for each output of a graph."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeopt.formats.tflite import files
from edgeopt.schema.errors import PassError


def distinct(content: bytes, names: Sequence[str]) -> bytes:
    """The model, in which an output that is an input or another output too is copied.

    ``names``, of the outputs in their order; runtimes tell outputs apart by their tensors. The
    same bytes where each output has its own.
    """
    model = files.unpack(content, "the exported model")
    graph = model.subgraphs[0]
    places = [int(index) for index in graph.outputs]
    known = {int(index) for index in graph.inputs}
    if len({*places} - known) == len(places):
        return content
    for at, place in enumerate(places):
        if place in known:
            places[at] = _copy(model, place, names[at])
        known.add(place)
    graph.outputs = places
    for signature in model.signatureDefs or []:
        kind = type(signature.outputs[0])
        signature.outputs = [kind() for _ in names]
        for entry, name, place in zip(signature.outputs, names, places, strict=True):
            entry.name, entry.tensorIndex = name.encode(), place
    return files.pack(model)


def _copy(model: Any, place: int, name: str) -> int:
    """A new tensor that an operator at the end copies another into; its index."""
    schema, graph = files.schema(), model.subgraphs[0]
    tensor = copy.copy(graph.tensors[place])
    tensor.name, tensor.buffer, tensor.isVariable = f"{name}_copy".encode(), 0, False
    options = schema.CastOptionsT()
    options.inDataType = options.outDataType = tensor.type  # to its own type
    return _appended(model, "CAST", options, [place], tensor)


def _appended(model: Any, kind: str, options: Any, inputs: list[int], tensor: Any) -> int:
    """Add an operator at the end that gives a new tensor; the tensor's index."""
    schema, graph = files.schema(), model.subgraphs[0]
    graph.tensors.append(tensor)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = 1
    model.operatorCodes.append(code)
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs = len(model.operatorCodes) - 1, inputs
    op.outputs = [len(graph.tensors) - 1]
    op.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    op.builtinOptions = options
    graph.operators.append(op)
    return len(graph.tensors) - 1


def permuted(content: bytes, orders: Mapping[str, Sequence[int]]) -> bytes:
    """The model with a TRANSPOSE behind each output that ``orders`` names, to that order of axes.

    The same bytes where there is none.
    """
    if not orders:
        return content
    model = files.unpack(content, "the exported model")
    schema, graph, (signature,) = files.schema(), model.subgraphs[0], model.signatureDefs
    for entry in signature.outputs:
        name = files.text(entry.name)
        if name not in orders:
            continue
        order, place = list(orders[name]), int(entry.tensorIndex)
        before, tensor = graph.tensors[place], copy.copy(graph.tensors[place])
        before.name, tensor.buffer = f"{name}_before".encode(), 0
        tensor.shape, tensor.shapeSignature = [int(before.shape[axis]) for axis in order], None
        inputs = [place, _constant(model, f"{name}_order", order)]
        made = _appended(model, "TRANSPOSE", schema.TransposeOptionsT(), inputs, tensor)
        entry.tensorIndex = made
        graph.outputs = [made if int(i) == place else int(i) for i in graph.outputs]
    return files.pack(model)


def _constant(model: Any, name: str, values: Sequence[int]) -> int:
    """A new int32 tensor; its index."""
    schema, graph = files.schema(), model.subgraphs[0]
    buffer = schema.BufferT()
    buffer.data = list(np.array(values, "<i4").tobytes())
    model.buffers.append(buffer)
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name.encode(), [len(values)], schema.TensorType.INT32
    tensor.buffer = len(model.buffers) - 1
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def in_order(
    content: bytes,
    inputs: Sequence[str],
    outputs: Sequence[str],
    converter: str = "TensorFlow's converter",
) -> bytes:
    """The graph's inputs and outputs in the model's order: TensorFlow's converter sorts them.

    Raises PassError for one that is not there any more.
    """
    model = files.unpack(content, "the exported model")
    (signature,), graph = model.signatureDefs, model.subgraphs[0]
    for side, names in (("inputs", inputs), ("outputs", outputs)):
        found = {files.text(each.name): int(each.tensorIndex) for each in getattr(signature, side)}
        if lacking := [name for name in names if name not in found]:
            raise PassError(f"{converter} lost '{lacking[0]}' of the {side}")
        setattr(graph, side, [found[name] for name in names])
    return files.pack(model)
