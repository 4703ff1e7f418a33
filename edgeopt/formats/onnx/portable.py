"""What every pass that writes ONNX does to its graph: strip, lower, keep the border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto

from edgeopt.formats.onnx.describe import constants, nodes
from edgeopt.formats.onnx.files import graphs
from edgeopt.schema.artifact import Signature
from edgeopt.schema.errors import PassError

OLDEST_IR = 8  # ONNX Runtime 1.10 and later
LAST_COMMON_TYPE = TensorProto.FLOAT8E5M2FNUZ  # types with larger numbers need IR 10 or later


def strip(model: ModelProto) -> None:
    """Take out doc strings, metadata and the producer's version: they carry stack traces,
    paths and versions into the digest and say nothing to a runtime."""
    model.ClearField("doc_string")
    model.ClearField("producer_version")
    del model.metadata_props[:]
    for graph in graphs(model.graph):
        values = (*graph.input, *graph.output, *graph.value_info)
        noted: Any
        for noted in (graph, *values, *graph.node, *graph.initializer):
            noted.ClearField("doc_string")
            del noted.metadata_props[:]
        for node in graph.node:
            for attribute in node.attribute:
                attribute.ClearField("doc_string")
    for function in model.functions:
        for noted in (function, *function.value_info, *function.node):
            noted.ClearField("doc_string")
            del noted.metadata_props[:]


def lower_ir(model: ModelProto) -> None:
    """Set the lowest IR version that the model's opsets and types allow."""
    new_types = any(c.dtype > LAST_COMMON_TYPE for c in constants(model).values())
    overloads = any(node.overload for node in nodes(model))
    if new_types or overloads or len(model.configuration):
        return
    needed = onnx.helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    model.ir_version = min(model.ir_version, max(needed, OLDEST_IR))


def drop_unused_domains(model: ModelProto) -> None:
    """Take out operator sets that no node uses: a runtime refuses those it does not know."""
    used = {"" if node.domain == "ai.onnx" else node.domain for node in nodes(model)} | {""}
    used |= {function.domain for function in model.functions}
    kept = [e for e in model.opset_import if ("" if e.domain == "ai.onnx" else e.domain) in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def drop_unused(model: ModelProto) -> None:
    """Remove initializers that no node (of any subgraph) and no output names."""
    used = {name for node in nodes(model) for name in node.input}
    used |= {output.name for output in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def keep_border(model: ModelProto, before: ModelProto) -> None:
    """Give a changed graph the inputs and outputs of the one it was made of.

    Optimizers refine or rename symbolic axes there. Raises PassError where a name is gone.
    """
    held = {tensor.name for tensor in model.graph.initializer}
    for role in ("input", "output"):
        now, was = getattr(model.graph, role), list(getattr(before.graph, role))
        names = {value.name for value in now}
        old_held = {tensor.name for tensor in before.graph.initializer}
        was = [value for value in was if value.name not in old_held]
        for value in was:
            if value.name not in names:
                raise PassError(f"the {role} '{value.name}' of the model was lost")
        kept = [value for value in now if value.name in held and role == "input"]
        del now[:]
        now.extend([*was, *kept])


def sign(model: ModelProto, signature: Signature) -> None:
    """Write a signature's axes into the graph's inputs and outputs, by position.

    Raises PassError where the graph contradicts it.
    """
    for role, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        values = getattr(model.graph, role)
        if [v.name for v in values] != [t.name for t in tensors]:
            raise PassError(f"the {role}s are {[v.name for v in values]}, not as predicted")
        for value, tensor in zip(values, tensors, strict=True):
            dims = value.type.tensor_type.shape.dim
            if len(dims) != len(tensor.shape):
                raise PassError(f"'{value.name}' has {len(dims)} axes, not {len(tensor.shape)}")
            for axis, (dim, said) in enumerate(zip(dims, tensor.shape, strict=True)):
                if role == "input" and dim.HasField("dim_value") and dim.dim_value != said:
                    raise PassError(
                        f"axis {axis} of input '{value.name}' is fixed to {dim.dim_value}, and was "
                        f"to be {said if isinstance(said, int) else 'free'}",
                        hint="The exporter fixed it: a size that forward() computes with, or that "
                        "a layer does not leave free.",
                    )
                if isinstance(said, str):
                    dim.dim_param = said
                else:
                    dim.dim_value = said


def name_outputs(model: ModelProto, names: Sequence[str]) -> None:
    """Call the outputs so, in order; inner values and initializers of these names get others.

    An output that is an input, a constant or another output as well is copied first.
    """
    graph = model.graph
    fixed = {v.name for v in graph.input} | {t.name for t in graph.initializer}
    taken = {name for node in nodes(model) for name in node.output} | fixed

    def fresh(name: str) -> str:
        found = next(new for i in count() if (new := f"{name}_{i}") not in taken)
        taken.add(found)
        return found

    ends: list[str] = []
    for value in graph.output:
        end = value.name
        if end in fixed or end in ends:
            end = fresh(end)
            graph.node.append(onnx.helper.make_node("Identity", [value.name], [end]))
        ends.append(end)
    change = dict(zip(ends, names, strict=True))
    for name in names:
        if name in taken and name not in change:
            change[name] = fresh(name)
    _rename(model, change, names)


def name_inputs(model: ModelProto, names: Sequence[str]) -> None:
    """Call the inputs so, in order, once the outputs have their names; inner values give way.

    torch's exporter renames an input that is handed through as an output.
    """
    values = list(model.graph.input)
    change = {v.name: name for v, name in zip(values, names, strict=True) if v.name != name}
    made = {name for node in model.graph.node for name in node.output}
    for name in made & set(change.values()):
        change[name] = next(new for i in count() if (new := f"{name}_{i}") not in made)
    for value, name in zip(values, names, strict=True):
        value.name = name
    _rename(model, change, [output.name for output in model.graph.output])


def _rename(model: ModelProto, change: Mapping[str, str], names: Sequence[str]) -> None:
    for node in nodes(model):
        node.input[:] = [change.get(name, name) for name in node.input]
        node.output[:] = [change.get(name, name) for name in node.output]
    held: Any
    for held in (*model.graph.value_info, *model.graph.initializer):
        held.name = change.get(held.name, held.name)
    for value, name in zip(model.graph.output, names, strict=True):
        value.name = name


def at_least_opset(model: ModelProto, version: int, why: str) -> ModelProto:
    """The model in the given opset of ONNX's own operators, or as it is where that is newer.

    Raises PassError where ONNX's converter cannot.
    """
    now = max((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), default=1)
    if now >= version:
        return model
    try:
        converted = onnx.version_converter.convert_version(model, version)
        onnx.checker.check_model(converted)
    except Exception as error:  # the converter raises RuntimeErrors of many kinds
        raise PassError(
            f"{why} needs opset {version}, the model has {now}, and ONNX's converter fails: "
            f"{str(error).strip().splitlines()[0]}",
            hint=f"Export the model again at opset {version} or later.",
        ) from error
    if now < 11:
        _resize_as_before(converted)
    keep_border(converted, model)
    return converted


def _resize_as_before(model: ModelProto) -> None:
    """Say of each Resize out of opset 10 where it takes its samples: later ones do so elsewhere."""
    said = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    for node in nodes(model):
        if node.op_type == "Resize" and not said.keys() & {a.name for a in node.attribute}:
            node.attribute.extend(onnx.helper.make_attribute(*each) for each in said.items())


def modern(model: ModelProto) -> None:
    """Make initializers constants: up to IR 3 they had to be inputs too, and an input that
    may be overridden can be neither folded nor quantized."""
    held = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in held]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, OLDEST_IR)


def take_handed_through(model: ModelProto) -> list[tuple[int, ValueInfoProto]]:
    """Take away the outputs that are inputs, each with its place among all outputs, in order."""
    given = {value.name for value in model.graph.input}
    handed = [(i, v) for i, v in enumerate(model.graph.output) if v.name in given]
    kept = [value for value in model.graph.output if value.name not in given]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    return handed


def finished(model: ModelProto, before: ModelProto) -> ModelProto:
    """A pass's result made fit to keep: stripped, in a low IR version, with the border and
    the metadata of the model it was made of. Raises PassError where ONNX's checker refuses."""
    strip(model)
    model.metadata_props.extend(before.metadata_props)
    keep_border(model, before)
    drop_unused_domains(model)
    lower_ir(model)
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # ValidationError, or a RuntimeError for more than 2 GiB
        raise PassError(f"ONNX's checker refuses the result: {str(error).strip()}") from error
    return model
