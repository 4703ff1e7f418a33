"""One tensor for each output of a graph."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

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


def in_order(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The graph's inputs and outputs in the model's order: TensorFlow's converter sorts them.

    Raises PassError for one that is not there any more.
    """
    model = files.unpack(content, "the exported model")
    (signature,), graph = model.signatureDefs, model.subgraphs[0]
    for side, names in (("inputs", inputs), ("outputs", outputs)):
        found = {files.text(each.name): int(each.tensorIndex) for each in getattr(signature, side)}
        if lacking := [name for name in names if name not in found]:
            raise PassError(f"TensorFlow's converter lost '{lacking[0]}' of the {side}")
        setattr(graph, side, [found[name] for name in names])
    return files.pack(model)
