"""Networks that TensorFlow runs -> ONNX by tf2onnx."""

from __future__ import annotations

import re
from typing import Any

import onnx
import tf2onnx
from onnx import helper

from edgeopt.agent import tf_network
from edgeopt.agent.errors import one_line
from edgeopt.converters.frozen import frozen
from edgeopt.formats.onnx import portable
from edgeopt.schema.artifact import Signature
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext
from edgeopt.tensorflow_pass import OnnxExport

COUNTED = re.compile(r"__\d+")
MOST_SAID = 300  # characters of the converter's own words
COMPOSED = {"Erfc": ("Erf", True), "Expm1": ("Exp", False)}  # the operator, and whether 1 is first


def to_onnx(step: OnnxExport, model: tf_network.Network, ctx: PassContext) -> onnx.ModelProto:
    """Convert the traced function; put sides back in the model's order under its names."""
    specs = model.specs()
    try:
        made, _ = tf2onnx.convert.from_function(
            frozen(model), input_signature=specs, opset=step.opset
        )
    except Exception as error:  # it raises ValueError, and what it meets in a graph
        raise PassError(f"tf2onnx failed: {one_line(error)[:MOST_SAID]}") from error
    _compose(made.graph)
    if refused := sorted({n.op_type for n in made.graph.node if not _is_known(n)}):
        raise PassError(
            f"tf2onnx gives operators that are not ONNX's own: {', '.join(refused)}",
            hint="export-tflite may take them",
        )
    signature = ctx.description.signature
    _in_order(made, signature)
    _renumber(made)
    portable.strip(made)
    del made.graph.value_info[:]
    _free(made)
    portable.sign(made, signature)
    if any(n.op_type == "Loop" for n in made.graph.node):
        ctx.found["notes"] = [
            f"{step.name}: a recurrent layer became a Loop, which runtimes run step by step; a GRU "
            "with reset_after=True does, and an LSTM does not"
        ]
    del made.opset_import[1:]  # domains that nothing is of
    made = onnx.shape_inference.infer_shapes(made)
    portable.lower_ir(made)
    return made


def _is_known(node: Any) -> bool:
    """Whether ONNX itself has the operator: tf2onnx writes some in its domain that it has not."""
    return node.domain in ("", "ai.onnx") and bool(onnx.defs.has(node.op_type))


def _compose(graph: Any) -> None:
    """Write what tf2onnx takes over from TensorFlow, though ONNX has no such operator, by two that
    it has: Erfc (exact GELU) as 1 - Erf, Expm1 (CELU) as Exp - 1."""
    kept = []
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _compose(attribute.g)
        if node.op_type not in COMPOSED:
            kept.append(node)
            continue
        inner, one_first = COMPOSED[node.op_type]
        (given,), (result,) = node.input, node.output
        one, made = f"{result}_one", f"{result}_{inner}"
        sides = [one, made] if one_first else [made, one]
        kept += [
            helper.make_node("Constant", [], [one], f"{node.name}_one", value_float=1.0),
            helper.make_node(inner, [given], [made], f"{node.name}_{inner}"),
            helper.make_node("Sub", sides, [result], node.name),
        ]
    del graph.node[:]
    graph.node.extend(kept)


def _in_order(made: onnx.ModelProto, signature: Signature) -> None:
    """Inputs and outputs in the signature's order. Raises PassError where one is missing."""
    for side, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        values = getattr(made.graph, side)
        by_name = {value.name.partition(":")[0]: value for value in values}
        if lacking := [t.name for t in tensors if t.name not in by_name]:
            raise PassError(f"tf2onnx lost the {side} '{lacking[0]}'")
        ordered = [by_name[t.name] for t in tensors]
        _rename(made, {v.name: t.name for v, t in zip(ordered, tensors, strict=True)})
        kept = [onnx.ValueInfoProto.FromString(v.SerializeToString()) for v in ordered]
        del values[:]
        values.extend(kept)


def _rename(made: onnx.ModelProto, names: dict[str, str]) -> None:
    changed = {old: new for old, new in names.items() if old != new}
    if not changed:
        return
    for node in made.graph.node:
        node.input[:] = [changed.get(name, name) for name in node.input]
        node.output[:] = [changed.get(name, name) for name in node.output]
    for value in (*made.graph.input, *made.graph.output):
        value.name = changed.get(value.name, value.name)


def _renumber(made: onnx.ModelProto) -> None:
    """Make what tf2onnx leaves to chance depend on the graph alone.

    Numbers in names, which it counts up over a process, begin at 0 and go by the order in which
    nodes use them; initializers, which come out of sets, stand in that order, too.
    """
    known: dict[str, str] = {}
    used: dict[str, int] = {}

    def called(name: str) -> str:
        if name not in known and COUNTED.search(name):
            known[name] = COUNTED.sub(f"__{len(known)}", name)
        found = known.get(name, name)
        used.setdefault(found, len(used))
        return found

    def walk(graph: Any) -> None:
        for node in graph.node:
            node.input[:] = map(called, node.input)
            node.output[:] = map(called, node.output)
            node.name = called(node.name)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    walk(attribute.g)
        for held in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
            held.name = called(held.name)
        kept = sorted(graph.initializer, key=lambda tensor: used[tensor.name])
        copies = [onnx.TensorProto.FromString(t.SerializeToString()) for t in kept]
        del graph.initializer[:]
        graph.initializer.extend(copies)
        graph.name = called(graph.name)

    walk(made.graph)


def _free(made: onnx.ModelProto) -> None:
    """tf2onnx gives each unknown size a name of its own: they become nameless."""
    for value in (*made.graph.input, *made.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_param"):
                dim.ClearField("dim_param")
