"""A network's function with constants in place of all that it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edgeopt.agent import tf_network

SECOND = "_frozen"
WHOLE = ("_XlaMustCompile", "_noinline")  # what keeps a function from being inlined


def frozen(
    model: tf_network.Network,
    batch: int | None = None,
    change: Callable[[Iterable[Any]], None] = lambda nodes: None,
) -> Any:
    """A ``tf.function`` like the network's own, without variables and without captured tensors.

    tf2onnx takes captured tensors for inputs, and neither converter looks into functions that are
    to be compiled whole, as Keras writes its grouped convolutions: those may be inlined here.
    ``change`` sees the nodes of the graph, and then those of each function in it.
    """
    concrete = model.function(batch).get_concrete_function()
    held = convert_variables_to_constants_v2(
        concrete, lower_control_flow=False, aggressive_inlining=True
    )
    graph = held.graph.as_graph_def()
    functions = graph.library.function
    for nodes in (graph.node, *(function.node_def for function in functions)):
        _inlinable(nodes)
        change(nodes)
    _inlinable(functions)
    _rename(graph)
    taken = [tensor.name.partition(":")[0] for tensor in held.inputs]
    given = [tensor.name for tensor in held.outputs]
    names = sorted(concrete.structured_outputs)  # the order of a dictionary that is flattened

    def call(*tensors: Any) -> dict[str, Any]:
        made = tf.graph_util.import_graph_def(
            graph, input_map=dict(zip(taken, tensors, strict=True)), return_elements=given, name=""
        )
        return {n: tf.identity(value, name=n) for n, value in zip(names, made, strict=True)}

    return tf.function(call, input_signature=model.specs(batch))


def _inlinable(held: Iterable[Any]) -> None:
    """Nodes, or functions, without what keeps them from being inlined."""
    for each in held:
        for name in WHOLE:
            each.attr.pop(name, None)


def _rename(graph: Any) -> None:
    """Functions under other names: those that were traced are known to this process."""
    known = {function.signature.name for function in graph.library.function}
    for function in graph.library.function:
        function.signature.name += SECOND
    bodies = (function.node_def for function in graph.library.function)
    for node in (*graph.node, *(node for body in bodies for node in body)):
        for attribute in node.attr.values():
            if attribute.func.name in known:
                attribute.func.name += SECOND
