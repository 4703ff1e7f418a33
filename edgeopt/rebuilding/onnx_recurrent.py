"""Recurrent ONNX nodes as torch's layers: gates reordered, axes of directions apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeopt.rebuilding.onnx_graph import Array, Graph, Node
from edgeopt.rebuilding.onnx_parts import Rebuild, shape_of
from edgeopt.rebuilding.plan import Value

GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}  # torch's gates among ONNX's
USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
ENDS = ("", "_reverse")


def _recurrent(graph: Graph, node: Node) -> list[Value]:
    """(steps, batch, features) to steps (steps, directions, batch, units) and last states."""
    x = graph.live(node.input(0))
    weights, inner = graph.constant(node, 1), graph.constant(node, 2)
    biases = graph.constant(node, 3) if node.input(3) else None
    directions, units = weights.shape[0], node.given["hidden_size"]
    _check(graph, node, directions, x)
    held: dict[str, Array] = {}
    for place, end in zip(range(directions), ENDS, strict=False):
        held[f"layer.weight_ih_l0{end}"] = _ordered(weights[place], node.kind)
        held[f"layer.weight_hh_l0{end}"] = _ordered(inner[place], node.kind)
        if biases is not None:
            both = np.split(biases[place], 2)
            held[f"layer.bias_ih_l0{end}"] = _ordered(both[0], node.kind)
            held[f"layer.bias_hh_l0{end}"] = _ordered(both[1], node.kind)
    given = {"kind": node.kind, "input_size": weights.shape[2], "hidden_size": units,
             "bias": biases is not None, "bidirectional": directions == 2}  # fmt: skip
    every = graph.plan.layer(node.name, "Steps", x, shape_of(graph, node), given, held)
    made = []
    for place, name in enumerate(node.outputs):
        if name and graph.readers[name]:
            shape = graph.shapes[name]
            made.append(graph.plan.function("item", [every], shape, {"index": place}))
        else:
            made.append(every)  # nobody reads it
    return made


def _check(graph: Graph, node: Node, directions: int, x: Value) -> None:
    """Raise PassError for what torch's recurrent layers cannot do."""
    usual = USUAL[node.kind] * directions
    told = node.given.get("activations") or usual
    told = [each.decode() if isinstance(each, bytes) else each for each in told]
    if [each.lower() for each in told] != [each.lower() for each in usual]:
        raise node.refused(f"activations {', '.join(told)}")
    if node.given.get("direction", "forward") == "reverse":
        raise node.refused("it runs backwards")
    if node.kind == "GRU" and not node.given.get("linear_before_reset", 0):
        raise node.refused("linear_before_reset is 0")
    for name in ("clip", "input_forget", "layout"):
        if node.given.get(name):
            raise node.refused(name)
    if node.input(4) and not _whole(graph, node, x):
        raise node.refused("sequences of their own lengths")
    for place, what in ((5, "first state"), (6, "first state of its cells"), (7, "peepholes")):
        name = node.input(place)
        if name and (name not in graph.held or graph.held[name].any()):
            raise node.refused(f"its {what} is not zero")


def _whole(graph: Graph, node: Node, x: Value) -> bool:
    lengths = graph.held.get(node.input(4))
    return lengths is not None and bool((lengths == x.shape[0]).all())


def _ordered(weights: Any, kind: str) -> Array:
    """(gates * units, ...) in torch's order of gates."""
    gates = np.split(weights, len(GATES[kind]))
    return np.concatenate([gates[place] for place in GATES[kind]])


NODES: dict[str, Rebuild] = dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent)
