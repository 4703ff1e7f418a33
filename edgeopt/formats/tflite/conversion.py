"""How much of a TFLite file LiteRT computes on integers, or holds in float16."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgeopt.agent.sessions.litert import Session
from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.describe import WEIGHTS, type_name
from edgeopt.formats.tflite.inspect import macs_by_operator, parameters
from edgeopt.models.conversion import (
    BITS,
    FLOAT,
    HALF,
    INT4,
    INT8,
    OTHER,
    Form,
    Step,
    hybrid,
    left_in_float,
    summed,
)
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import PassError

FREE = frozenset(  # they move values, or say what they are, and compute nothing
    (
        "BROADCAST_TO", "CALL_ONCE", "CAST", "CONCATENATION", "DEPTH_TO_SPACE", "DEQUANTIZE",
        "EXPAND_DIMS", "FILL", "GATHER", "GATHER_ND", "IF", "MIRROR_PAD", "PACK", "PAD", "PADV2",
        "QUANTIZE", "RESHAPE", "REVERSE_V2", "SCATTER_ND", "SHAPE", "SLICE", "SPACE_TO_DEPTH",
        "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK", "WHILE",
    )
)  # fmt: skip
CODES = {
    **dict.fromkeys(("INT8", "UINT8", "INT16", "INT32"), INT8),
    **dict.fromkeys(("FLOAT16", "BFLOAT16"), HALF),
    "INT4": INT4,
}
Typed = Sequence[tuple[int, str]]  # (tensor, numpy's name of its type)


def by_file(path: Path, form: Form) -> Conversion:
    """What the file says. Raises ModelError."""
    model = files.read(path)
    tensors = model.subgraphs[0].tensors

    def typed(indices: Any) -> Typed:
        held = [int(i) for i in indices if int(i) >= 0] if indices is not None else []
        return [(index, type_name(tensors[index]).lower()) for index in held]

    listed = [(typed(op.inputs), typed(op.outputs)) for _, op in files.operators(model)]
    return _summed(model, form, listed, path.stat().st_size)


def by_litert(folder: Path, path: Path, form: Form) -> Conversion:
    """What LiteRT's interpreter has of the file, in the agent's session. Raises AgentError."""
    executed = Session(str(folder), "cpu", 1).executed()
    listed = [(e["inputs"], e["outputs"]) for e in executed]
    return _summed(files.read(path), form, listed, path.stat().st_size)


def _summed(model: Any, form: Form, listed: Sequence[tuple[Typed, Typed]], size: int) -> Conversion:
    counted = [macs for _, macs in macs_by_operator(model)]
    steps = list(_steps(model, listed, counted))
    found = summed(form, held_weights(model), steps, sum(counted), FREE, size)
    return found.model_copy(update={"as_it_runs": found.macs_hybrid > 0})  # so are all its kernels


def unquantized(content: bytes, scheme: str) -> PassError:
    """Why ai-edge-quantizer quantized no operator with weights."""
    weights = held_weights(files.unpack(content, "the quantized model"))
    why = left_in_float(weights, "ai-edge-quantizer")
    others = scheme.startswith("static") and any(op in WEIGHTS for op, _ in weights)
    return PassError(
        f"no operator with weights could be quantized: {why}",
        hint="'scheme: dynamic' or 'weight-only' may quantize what 'static' leaves"
        if others
        else "",
    )


def held_weights(model: Any) -> dict[tuple[str, str], int]:
    """Parameters by (operator that uses them, precision they are held in)."""
    users: dict[int, str] = {}
    for name, op in reversed(list(files.operators(model))):
        users |= dict.fromkeys(map(int, op.inputs if op.inputs is not None else ()), name)
        if name == "DEQUANTIZE":  # of weights: they are those of the operator behind it
            users[int(op.inputs[0])] = users.get(int(op.outputs[0]), name)
    counts: Counter[tuple[str, str]] = Counter()
    for index, tensor, count in parameters(model):
        narrow = CODES.get(type_name(tensor), FLOAT)
        counts[users.get(index, "unused"), narrow] += count
    return dict(counts)


def _steps(
    model: Any, listed: Sequence[tuple[Typed, Typed]], counted: Sequence[int]
) -> Iterator[Step]:
    tensors = model.subgraphs[0].tensors
    held = {index for index, tensor in enumerate(tensors) if files.constant(model, tensor)}
    of_weights = {  # what is widened from a constant is one, too
        int(op.outputs[0])
        for name, op in files.operators(model)
        if name == "DEQUANTIZE" and int(op.inputs[0]) in held
    }
    rows = zip(files.operators(model), listed, counted, strict=True)
    for (name, _), (inputs, outputs), macs in rows:
        yield Step(name, _precision(name, inputs, outputs, held | of_weights), macs)


def _precision(name: str, inputs: Typed, outputs: Typed, held: set[int]) -> str:
    """float32 where any value that flows is; codes of 16 bits count as of 8."""
    flowing = [kind for index, kind in (*inputs, *outputs) if index not in held]
    kinds = {BITS.get(kind, INT8 if kind == "int16" else OTHER) for kind in flowing}
    if FLOAT not in kinds:
        return HALF if HALF in kinds else INT8 if INT8 in kinds else OTHER
    place = WEIGHTS.get(name, (len(inputs),))[0]
    return hybrid("float32", inputs[place][1] if place < len(inputs) else "")
