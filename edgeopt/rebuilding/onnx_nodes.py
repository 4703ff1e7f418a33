"""ONNX nodes -> torch modules and functions. A node that has no twin is refused by name.

Both put channels on axis 1, so that values lie in torch as they do in the file. What is exported
from Keras has transposes of its own, which stay.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeopt.rebuilding import onnx_functions, onnx_layers, onnx_recurrent
from edgeopt.rebuilding.onnx_graph import Graph, Node, graph_of, nodes_of
from edgeopt.rebuilding.onnx_parts import Rebuild
from edgeopt.rebuilding.plan import Plan
from edgeopt.schema.artifact import Signature

NODES: dict[str, Rebuild] = {**onnx_functions.NODES, **onnx_layers.NODES, **onnx_recurrent.NODES}


def rebuilt(model: object, signature: Signature, taken: Mapping[str, bool] | None = None) -> Plan:
    """The plan of a model's graph. ``taken``: by input, whether channels come on axis 1, though the
    graph has them last. Raises PassError that names the node which has no twin."""
    graph = graph_of(model, signature)
    for tensor in signature.inputs:
        shape = [n if isinstance(n, int) else None for n in tensor.shape]
        value = graph.plan.input(tensor.name, shape, (taken or {}).get(tensor.name, False))
        graph.values[tensor.name] = graph.plan.last(value)
    for node in nodes_of(model):
        if all(name in graph.held or name in graph.values for name in node.outputs if name):
            continue  # no input reaches it, or another node took it along
        _rebuild(graph, node)
    for tensor in signature.outputs:
        graph.plan.output(tensor.name, graph.live(tensor.name))
    return graph.plan


def _rebuild(graph: Graph, node: Node) -> None:
    rebuild = NODES.get(node.kind) if node.proto.domain in ("", "ai.onnx") else None
    if rebuild is None:
        raise node.refused("it has no twin in torch")
    made = rebuild(graph, node)
    for name, value in zip(node.outputs, made, strict=False):
        graph.values[name] = value
    for name in node.outputs[len(made) :]:
        if name and graph.readers[name]:
            raise node.refused(f"its output '{name}' has no twin in torch")
