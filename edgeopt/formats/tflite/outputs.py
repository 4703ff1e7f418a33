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
    graph.tensors.append(tensor)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CAST  # to its own type
    code.version = 1
    model.operatorCodes.append(code)
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs = len(model.operatorCodes) - 1, [place]
    op.outputs = [len(graph.tensors) - 1]
    op.builtinOptionsType = schema.BuiltinOptions.CastOptions
    op.builtinOptions = schema.CastOptionsT()
    op.builtinOptions.inDataType = op.builtinOptions.outDataType = tensor.type
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
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TRANSPOSE
    code.version = 1
    model.operatorCodes.append(code)
    for entry in signature.outputs:
        name = files.text(entry.name)
        if name not in orders:
            continue
        order, place = list(orders[name]), int(entry.tensorIndex)
        op = schema.OperatorT()
        op.opcodeIndex = len(model.operatorCodes) - 1
        op.inputs = [place, _constant(model, f"{name}_order", order)]
        tensor = copy.copy(graph.tensors[place])
        tensor.name, tensor.buffer = graph.tensors[place].name, 0
        graph.tensors[place].name = f"{name}_before".encode()
        tensor.shape = [int(graph.tensors[place].shape[axis]) for axis in order]
        tensor.shapeSignature = None
        graph.tensors.append(tensor)
        op.outputs = [len(graph.tensors) - 1]
        op.builtinOptionsType = schema.BuiltinOptions.TransposeOptions
        op.builtinOptions = schema.TransposeOptionsT()
        graph.operators.append(op)
        entry.tensorIndex = len(graph.tensors) - 1
        graph.outputs = [entry.tensorIndex if int(i) == place else int(i) for i in graph.outputs]
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
