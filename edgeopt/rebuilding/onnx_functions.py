"""ONNX nodes that compute without weights: arithmetic, shapes, reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeopt.rebuilding.onnx_graph import Array, Graph, Node
from edgeopt.rebuilding.onnx_parts import (
    Rebuild,
    affine,
    number,
    padded,
    resized,
    shape_of,
)
from edgeopt.rebuilding.plan import Value

UNARY = {"Exp": "exp", "Sqrt": "sqrt", "Abs": "abs", "Log": "log", "Neg": "neg", "Erf": "erf",
         "Reciprocal": "reciprocal", "Sin": "sin", "Cos": "cos", "Floor": "floor", "Ceil": "ceil",
         "Sign": "sign", "Not": "not"}  # fmt: skip
WHOLE = 10**9  # the end of a slice that goes to the end; tf2onnx writes this one
BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}
COMPARED = {"Equal": "equal", "Less": "less", "Greater": "greater", "LessOrEqual": "less_equal",
            "GreaterOrEqual": "greater_equal", "And": "and", "Or": "or"}  # fmt: skip
SEVERAL = {"Sum": "add", "Mean": "average", "Max": "maximum", "Min": "minimum"}
REDUCED = {"ReduceMean": "mean", "ReduceMax": "amax", "ReduceMin": "amin", "ReduceSum": "sum"}


def _unary(graph: Graph, node: Node) -> list[Value]:
    x = graph.live(node.input(0))
    return [graph.plan.function(UNARY[node.kind], [x], x.shape)]


def _binary(graph: Graph, node: Node) -> list[Value]:
    """Of a value and a constant: an affine, whose constants train in no pass."""
    one, other = node.input(0), node.input(1)
    plain = graph.dtypes[node.outputs[0]] == "float32"
    constant = next((n for n in (one, other) if n in graph.held and n not in graph.sized), None)
    if not plain or constant is None or (node.kind == "Div" and constant == one):
        taken = [graph.live(one), graph.live(other)]
        return [graph.plan.function(BINARY[node.kind], taken, shape_of(graph, node))]
    x, held = graph.live(other if constant == one else one), graph.held[constant]
    none, unit = np.zeros((), np.float32), np.ones((), np.float32)
    scale: Array = unit
    offset: Array = none
    if node.kind in ("Mul", "Div"):
        scale = held if node.kind == "Mul" else np.asarray(unit / held)
    elif node.kind == "Add" or constant == one:
        scale, offset = (unit if node.kind == "Add" else np.asarray(-unit)), held
    else:
        offset = -held
    return [affine(graph, node, x, scale, offset)]


def _compared(graph: Graph, node: Node) -> list[Value]:
    taken = [graph.live(node.input(0)), graph.live(node.input(1))]
    return [graph.plan.function(COMPARED[node.kind], taken, shape_of(graph, node))]


def _several(graph: Graph, node: Node) -> list[Value]:
    taken = [graph.live(name) for name in node.inputs]
    return [graph.plan.function(SEVERAL[node.kind], taken, shape_of(graph, node))]


def _power(graph: Graph, node: Node) -> list[Value]:
    exponent = graph.constant(node, 1)
    if exponent.size != 1:
        raise node.refused(f"exponents of {list(exponent.shape)}")
    x = graph.live(node.input(0))
    return [graph.plan.function("pow", [x], shape_of(graph, node), {"exponent": number(exponent)})]


def _where(graph: Graph, node: Node) -> list[Value]:
    taken = [graph.live(name) for name in node.inputs]
    return [graph.plan.function("where", taken, shape_of(graph, node))]


def _cast(graph: Graph, node: Node) -> list[Value]:
    x, dtype = graph.live(node.input(0)), graph.dtypes[node.outputs[0]]
    if dtype not in ("float32", "int64", "int32", "bool"):
        raise node.refused(f"to {dtype}")
    return [graph.plan.function("cast", [x], x.shape, {"dtype": dtype})]


def _same(graph: Graph, node: Node) -> list[Value]:
    return [graph.live(node.input(0))]


def _reduced(graph: Graph, node: Node) -> list[Value]:
    x = graph.live(node.input(0))
    axes = node.given.get("axes")
    axes = graph.constant(node, 1).tolist() if node.input(1) else axes
    if not axes and node.given.get("noop_with_empty_axes", 0):
        return [x]
    over = [axis % x.rank for axis in axes] if axes else list(range(x.rank))
    if 0 in over and x.shape[0] is None:
        raise node.refused("over the batch")
    given = {"dim": sorted(over), "keepdim": bool(node.given.get("keepdims", 1))}
    return [graph.plan.function(REDUCED[node.kind], [x], shape_of(graph, node), given)]


# -- shapes


def _reshaped(graph: Graph, node: Node) -> list[Value]:
    x, shape = graph.live(node.input(0)), shape_of(graph, node)
    return [x if shape == x.shape else resized(graph, node, x, shape)]


def _permuted(graph: Graph, node: Node) -> list[Value]:
    x = graph.live(node.input(0))
    order = list(node.given.get("perm") or range(x.rank - 1, -1, -1))
    if order == list(range(x.rank)):
        return [x]
    return [graph.plan.function("permute", [x], shape_of(graph, node), {"dims": order})]


def _joined(graph: Graph, node: Node) -> list[Value]:
    taken, shape = [graph.live(name) for name in node.inputs], shape_of(graph, node)
    axis = node.given["axis"] % len(shape)
    return [graph.plan.function("joined", taken, shape, {"axis": axis})]


def _split(graph: Graph, node: Node) -> list[Value]:
    x = graph.live(node.input(0))
    axis = node.given.get("axis", 0) % x.rank
    made, start = [], 0
    for name in node.outputs:
        size = graph.shapes[name][axis]
        if size is None:
            raise node.refused("along the batch")
        given = {"axis": axis, "start": start, "end": start + size, "step": 1}
        made.append(graph.plan.function("sliced", [x], graph.shapes[name], given))
        start += size
    return made


def _sliced(graph: Graph, node: Node) -> list[Value]:
    x = graph.live(node.input(0))
    if graph.opset < 10:
        starts, ends = node.given["starts"], node.given["ends"]
        axes, steps = node.given.get("axes"), None
    else:
        starts, ends = (graph.constant(node, place).tolist() for place in (1, 2))
        axes = graph.constant(node, 3).tolist() if node.input(3) else None
        steps = graph.constant(node, 4).tolist() if node.input(4) else None
    axes, steps = axes or range(len(starts)), steps or [1] * len(starts)
    shape = list(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis %= x.rank
        size = shape[axis]
        if step < 1:
            raise node.refused("a step below 1")
        if size is None:
            if start == 0 and step == 1 and end >= WHOLE:
                continue
            raise node.refused("along a free size")
        first, last, _ = slice(start, end).indices(size)
        shape[axis] = len(range(first, last, step))
        given = {"axis": axis, "start": first, "end": last, "step": step}
        x = graph.plan.function("sliced", [x], tuple(shape), given)
    return [x]


def _tiled(graph: Graph, node: Node) -> list[Value]:
    """Tile along axes of known size."""
    x, shape = graph.live(node.input(0)), shape_of(graph, node)
    repeats = graph.constant(node, 1).tolist()
    if any(n is None and times != 1 for n, times in zip(x.shape, repeats, strict=True)):
        raise node.refused("along a free size")
    return [graph.plan.function("tiled", [x], shape, {"repeats": repeats})]


def _grown(graph: Graph, node: Node) -> list[Value]:
    """Pad: a constant, or what stands at the edge, on the axes behind the channels."""
    x, mode = graph.live(node.input(0)), node.given.get("mode", "constant")
    told: Any = node.given.get("pads")
    told = graph.constant(node, 1).tolist() if node.input(1) else told
    value = number(graph.constant(node, 2)) if node.input(2) else node.given.get("value", 0.0)
    if node.input(3):
        axes = [axis % x.rank for axis in graph.constant(node, 3).tolist()]
    else:
        axes = list(range(x.rank))
    pads = [(0, 0)] * x.rank
    for place, axis in enumerate(axes):
        pads[axis] = (told[place], told[place + len(axes)])
    if mode == "constant" and x.rank > 2 and pads[:2] == [(0, 0), (0, 0)] and x.rank < 6:
        return [padded(graph, node, x, pads[2:], float(value))]
    flat = [n for pair in reversed(pads) for n in pair]
    if mode == "constant":
        given = {"pad": flat, "value": float(value)}
        return [graph.plan.function("grown", [x], shape_of(graph, node), given)]
    names = {"reflect": "Reflection", "edge": "Replication"}
    if mode not in names or pads[:2] != [(0, 0), (0, 0)] or x.rank < 3:
        raise node.refused(f"mode {mode} of these axes")
    kind = f"{names[mode]}Pad{x.rank - 2}d"
    given = {"padding": [n for pair in reversed(pads[2:]) for n in pair]}
    return [graph.plan.layer(node.name, kind, x, shape_of(graph, node), given)]


def _expanded(graph: Graph, node: Node) -> list[Value]:
    x, shape = graph.live(node.input(0)), shape_of(graph, node)
    if shape == x.shape:
        return [x]
    kept = x.shape[len(x.shape) - len(shape) :] if len(shape) <= x.rank else x.shape
    sizes = [-1 if n is None else n for n in shape]
    if None in shape and (x.rank != len(shape) or kept[shape.index(None)] is not None):
        raise node.refused(f"from {list(x.shape)} to {list(shape)}")
    return [graph.plan.function("expanded", [x], shape, {"sizes": sizes})]


NODES: dict[str, Rebuild] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(COMPARED, _compared),
    **dict.fromkeys(SEVERAL, _several),
    **dict.fromkeys(REDUCED, _reduced),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshaped),
    "Cast": _cast,
    "Concat": _joined,
    "Expand": _expanded,
    "Identity": _same,
    "Pad": _grown,
    "Pow": _power,
    "Slice": _sliced,
    "Tile": _tiled,
    "Split": _split,
    "Transpose": _permuted,
    "Where": _where,
}
