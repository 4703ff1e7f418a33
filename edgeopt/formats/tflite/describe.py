"""Signature and facts of a TFLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.agent.sessions.litert import border_names
from edgeopt.formats.tflite import files
from edgeopt.models.layout import image_layout
from edgeopt.schema.artifact import Description, Dim, Signature, Tensor
from edgeopt.schema.errors import ModelError

BYTES = ("INT8", "UINT8", "INT4")
WEIGHTS = {  # operator -> position of its weights, position of its data
    "CONV_2D": (1, 0),
    "DEPTHWISE_CONV_2D": (1, 0),
    "FULLY_CONNECTED": (1, 0),
    "TRANSPOSE_CONV": (1, 2),
    "CONV_3D": (1, 0),
    "BATCH_MATMUL": (1, 0),
    "EMBEDDING_LOOKUP": (1, 0),
    "GATHER": (0, 1),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (1, 0),
}


def describe(path: Path) -> Description:
    """Signature and facts. Raises ModelError for a file that LiteRT refuses.

    Facts: ``float32`` or ``float16`` by the bulk of the weights, ``int8`` or ``int4`` where
    weights are quantized, ``int8-activations`` where what flows between operators is, ``int8-io``
    where inputs or outputs are, ``static-batch``.
    """
    interpreter, model = files.interpreter(path), files.read(path)
    signature = _signature(interpreter, str(path))
    facts = {weights_fact(model)}
    if quantization_form(model) == "static":
        facts.add("int8-activations")
    if any(t.scale is not None for t in (*signature.inputs, *signature.outputs)):
        facts.add("int8-io")
    if not signature.dynamic_batch:
        facts.add("static-batch")
    return Description(format="tflite", signature=signature, facts=frozenset(facts))


def quantization_form(model: Any) -> str:
    """``static``, ``dynamic``, ``weight-only`` or, for a float model, empty.

    Static: operators with weights take 8-bit data. Dynamic: they take float data beside
    8-bit weights and quantize it themselves. Weight-only: weights are dequantized first.
    """
    forms = {form for _, form in quantized_operators(model)}
    return next((form for form in ("static", "dynamic", "weight-only") if form in forms), "")


def quantized_operators(model: Any) -> Iterator[tuple[Any, str]]:
    """(weights, form) for each operator that uses 8-bit weights."""
    tensors = model.subgraphs[0].tensors
    for name, op in files.operators(model):
        inputs = [int(index) for index in op.inputs] if op.inputs is not None else []
        if name == "DEQUANTIZE" and _held_bytes(model, tensors[inputs[0]]):
            yield tensors[inputs[0]], "weight-only"
        if name in WEIGHTS and max(WEIGHTS[name]) < len(inputs):
            weight, data = (tensors[inputs[position]] for position in WEIGHTS[name])
            if _held_bytes(model, weight):
                yield weight, "static" if type_name(data) in (*BYTES, "INT16") else "dynamic"


def weights_fact(model: Any) -> str:
    """``int8`` or ``int4`` if any weight is quantized, by what most of those are; else the dtype of
    the bulk of the float constants."""
    if narrow := [tensor for tensor, _ in quantized_operators(model)]:
        four = sum(elements(t) if type_name(t) == "INT4" else -elements(t) for t in narrow)
        return "int4" if four > 0 else "int8"
    counts = {"FLOAT32": 0, "FLOAT16": 0}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if type_name(tensor) in counts and files.constant(model, tensor):
                counts[type_name(tensor)] += elements(tensor)
    return "float16" if counts["FLOAT16"] > counts["FLOAT32"] else "float32"


def type_name(tensor: Any) -> str:
    """The schema's name of a tensor's type."""
    known = vars(files.schema().TensorType)
    return next((name for name, number in known.items() if number == tensor.type), "UNKNOWN")


def elements(tensor: Any) -> int:
    """Number of elements; 1 for a scalar."""
    return int(np.prod(tensor.shape, dtype=np.int64)) if tensor.shape is not None else 1


def _held_bytes(model: Any, tensor: Any) -> bool:
    return type_name(tensor) in BYTES and files.constant(model, tensor)


def _signature(made: Any, where: str) -> Signature:
    names = border_names(made)
    sides = []
    for details in (made.get_input_details(), made.get_output_details()):
        sides.append(tuple(_tensor(one, names[int(one["index"])], where) for one in details))
    if not sides[0] or not sides[1]:
        raise ModelError("the model has no inputs or no outputs", where=where)
    return Signature(inputs=sides[0], outputs=sides[1])


def _tensor(one: dict[str, Any], name: str, where: str) -> Tensor:
    dtype = np.dtype(one["dtype"])
    if dtype.kind not in "biuf":
        raise ModelError(f"'{name}' holds elements of type {dtype}", where=where)
    sizes = one.get("shape_signature")
    sizes = one["shape"] if sizes is None or not len(sizes) else sizes
    shape: list[Dim] = [
        int(n) if n >= 0 else "batch" if axis == 0 else f"{name}.{axis}"
        for axis, n in enumerate(sizes)
    ]
    scale, zero_point = one["quantization"]
    quantized = dtype.name in ("int8", "uint8", "int16") and scale > 0
    return Tensor(
        name=name,
        dtype=dtype.name,
        shape=tuple(shape),
        layout=image_layout(shape),
        scale=float(scale) if quantized else None,
        zero_point=int(zero_point) if quantized else None,
    )
