"""Layers of an ONNX graph in the forms that ONNX Runtime's quantizer reads as they are meant.

It gives each initializer one scale or one for each entry of one axis, takes a bias to be one row,
and drops the factor ``beta`` of a Gemm. What these functions change says the same in other words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeopt.formats.onnx import portable
from edgeopt.formats.onnx.describe import nodes
from edgeopt.formats.onnx.files import graphs, graphs_of

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


class _Use(NamedTuple):
    """Where a node of the main graph reads a weight, and the axis of its output channels."""

    node: NodeProto
    place: int
    axis: int | None  # None: one scale for the whole tensor


def name_nodes(model: ModelProto) -> None:
    """Give every node, of bodies too, a name of its own; the first of a name keeps it."""
    known = {node.name for node in nodes(model)}
    seen = {""}
    for index, node in enumerate(nodes(model)):
        if node.name in seen:
            node.name = unused(f"{node.name or node.op_type}_{index}", known)
        seen.add(node.name)


def plain_gemms(model: ModelProto) -> None:
    """Write each Gemm's constant third input as one row of biases, times 1.

    What is no row becomes an Add behind the Gemm. A third input that is computed stays as it is.
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    known = value_names(model)
    behind: list[NodeProto] = []
    for node in model.graph.node:
        behind.append(node)
        if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2] in held:
            behind += _plain_gemm(model, node, held, known)
    del model.graph.node[:]
    model.graph.node.extend(behind)


def _plain_gemm(
    model: ModelProto, node: NodeProto, held: Mapping[str, TensorProto], known: set[str]
) -> list[NodeProto]:
    """Change one Gemm; what is to stand behind it."""
    given, weight = held[node.input[2]], held.get(node.input[1])
    beta = next((a.f for a in node.attribute if a.name == "beta"), 1.0)
    width = None if weight is None else _width(node, weight)
    if given.data_type not in FLOATS or (
        beta == 1.0 and len(given.dims) == 1 and width in (None, given.dims[0])
    ):
        return []
    values = numpy_helper.to_array(given)
    values = (values * beta).astype(values.dtype)
    row = values.size == max((1, *values.shape[-1:]))  # else it differs from sample to sample
    if row:
        values = values.reshape(-1)
        values = np.repeat(values, width) if values.size == 1 and width else values
    name = unused(f"{node.name}_bias", known)
    model.graph.initializer.append(numpy_helper.from_array(values, name))
    kept = [a for a in node.attribute if a.name != "beta"]
    del node.attribute[:]
    node.attribute.extend(kept)
    if row:
        node.input[2] = name
        return []
    del node.input[2]
    product, output = unused(f"{node.output[0]}_product", known), node.output[0]
    node.output[0] = product
    return [helper.make_node("Add", [product, name], [output], f"{node.name}_add")]


def products(model: ModelProto) -> None:
    """Write each Gemm of a constant matrix as MatMul and Add.

    ONNX Runtime's quantizers of weights alone pass over a Gemm without a word (1.32). One whose
    first factor is transposed, or whose addend is computed and has a factor, stays.
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    known = value_names(model)
    written: list[NodeProto] = []
    made: dict[tuple[str, float, bool], str] = {}
    for node in model.graph.node:
        told = {a.name: a.f if a.name in ("alpha", "beta") else a.i for a in node.attribute}
        addend = node.input[2] if len(node.input) > 2 else ""
        factor = told.get("beta", 1.0) if addend else 1.0
        matrix = held.get(node.input[1]) if node.op_type == "Gemm" else None
        if matrix is None or told.get("transA") or (factor != 1.0 and addend not in held):
            written.append(node)
            continue
        key = (matrix.name, told.get("alpha", 1.0), bool(told.get("transB")))
        if key not in made:
            made[key] = _scaled(model, known, *key)
        product = unused(f"{node.output[0]}_product", known) if addend else node.output[0]
        name = node.name
        written.append(helper.make_node("MatMul", [node.input[0], made[key]], [product], name))
        if addend:
            if factor != 1.0:
                addend = _scaled(model, known, addend, factor, transposed=False)
            output = [node.output[0]]
            written.append(helper.make_node("Add", [product, addend], output, f"{name}_add"))
    del model.graph.node[:]
    model.graph.node.extend(written)
    portable.drop_unused(model)


def _scaled(model: ModelProto, known: set[str], name: str, factor: float, transposed: bool) -> str:
    """The name of an initializer times a factor, and transposed if said; itself where neither."""
    if factor == 1.0 and not transposed:
        return name
    (held,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(held)
    values = (values.T if transposed else values) * np.asarray(factor, values.dtype)
    fresh = unused(f"{name}_scaled" if factor != 1.0 else f"{name}_transposed", known)
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), fresh))
    return fresh


def one_axis_each(model: ModelProto, *, per_channel: bool) -> list[str]:
    """Copy weights that several nodes read along several axes: one copy for each axis.

    Gives the weights that can have one scale only, although ``per_channel`` asks for more.
    """
    if not per_channel:
        return []
    held = {tensor.name: tensor for tensor in model.graph.initializer
            if tensor.data_type in FLOATS}  # fmt: skip
    known = value_names(model)
    uses: dict[str, list[_Use]] = {}
    for use in _uses(model, held):
        uses.setdefault(use.node.input[use.place], []).append(use)
    whole: dict[str, None] = {}
    for name, several in uses.items():
        names: dict[int | None, str] = {}
        for use in several:
            if use.axis not in names:
                names[use.axis] = name
                if len(names) > 1:
                    names[use.axis] = unused(f"{name}_{len(names)}", known)
                    copy = model.graph.initializer.add()
                    copy.CopyFrom(held[name])
                    copy.name = names[use.axis]
            use.node.input[use.place] = names[use.axis]
            if use.axis is None and use.node.op_type == "ConvTranspose":
                whole[names[use.axis]] = None
    return list(whole)


def read_in_bodies(model: ModelProto) -> list[str]:
    """Names of activations in the main graph whose input or output a body reads.

    The quantizer drops a Relu or Clip, which it leaves to the codes of those that read it, and
    gives its input the name of its output; it sees no body.
    """
    read = set().union(*(_read_inside(node) for node in model.graph.node))
    return [
        node.name for node in model.graph.node
        if node.op_type in ("Relu", "Clip") and not read.isdisjoint((node.input[0], node.output[0]))
    ]  # fmt: skip


def put_in_order(model: ModelProto) -> None:
    """Sort the main graph's nodes behind all that they and their bodies read.

    The quantizer sorts them, too, and looks at no body. Nodes that may stand where they do stay.
    """
    waiting = list(model.graph.node)
    unmade = {name for node in waiting for name in node.output}
    ordered: list[NodeProto] = []
    while waiting:
        later = []
        for node in waiting:
            if unmade.isdisjoint(_read_inside(node).union(node.input)):
                unmade.difference_update(node.output)
                ordered.append(node)
            else:
                later.append(node)
        if len(later) == len(waiting):  # a circle, which ONNX's checker names
            ordered += later
            break
        waiting = later
    del model.graph.node[:]
    model.graph.node.extend(ordered)


def _read_inside(node: NodeProto) -> set[str]:
    """What the bodies of a node read, their own values among it."""
    bodies = list(graphs_of(node))
    read = {name for body in bodies for inner in body.node for name in inner.input}
    return read | {value.name for body in bodies for value in body.output}


def _uses(model: ModelProto, held: Mapping[str, TensorProto]) -> Iterator[_Use]:
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name not in held or (place == 2 and node.op_type in WEIGHTED):
                continue
            yield _Use(node, place, channels(node, place, held[name]))


def channels(node: NodeProto, place: int, weight: TensorProto) -> int | None:
    """The axis along which the quantizer gives one scale each; None: one for all."""
    flags = {a.name: a.i for a in node.attribute}
    axis: int | None = None
    if node.op_type == "MatMul":
        axis = 1
    elif place != 1:
        axis = None
    elif node.op_type == "Conv":
        axis = 0
    elif node.op_type == "ConvTranspose" and flags.get("group", 1) == 1:
        axis = 1
    elif node.op_type == "Gemm":
        axis = 0 if flags.get("transB") else 1
    return axis if axis is not None and axis < len(weight.dims) else None


def _width(node: NodeProto, weight: TensorProto) -> int:
    """Output channels of a Gemm."""
    flags: dict[str, Any] = {a.name: a.i for a in node.attribute}
    return int(weight.dims[0 if flags.get("transB") else 1])


def leave_floats_to_others(model: ModelProto) -> None:
    """Let all that is no product read activations as they were before they were quantized.

    ONNX Runtime's quantizer has every reader of a tensor read its rounded values.
    """
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    outputs = {value.name for value in graph.output}
    for node in graph.node:
        if node.op_type in (*WEIGHTED, "QuantizeLinear", "DequantizeLinear"):
            continue
        for place, name in enumerate(node.input):
            coarse = makers.get(name)
            codes = makers.get(coarse.input[0]) if coarse is not None else None
            if coarse is None or codes is None or name in outputs:
                continue
            if (codes.op_type, coarse.op_type) == ("QuantizeLinear", "DequantizeLinear"):
                node.input[place] = codes.input[0]
    portable.drop_unused(model)


def value_names(model: ModelProto) -> set[str]:
    """Of all values, bodies' too."""
    made = {output for node in nodes(model) for output in node.output}
    for graph in graphs(model.graph):
        made |= {value.name for value in graph.input} | {t.name for t in graph.initializer}
    return made


def unused(name: str, known: set[str]) -> str:
    """The name, or the first of NAME_1, NAME_2, ... that is new; known from now on."""
    if name in known:
        name = next(new for i in count(1) if (new := f"{name}_{i}") not in known)
    known.add(name)
    return name
