"""A module as a graph of functional ATen operators, by torch.export."""

from __future__ import annotations

import operator
from typing import Any, List, Mapping

import torch
from torch import nn

aten = torch.ops.aten
NOTHING = (aten.dropout.default, aten.alias.default, aten.contiguous.default, aten.clone.default,
           aten.detach.default)  # fmt: skip
VIEWS = frozenset((  # operators whose results may share memory with their first argument
    "alias", "as_strided", "chunk", "contiguous", "detach", "diagonal", "expand", "expand_as",
    "flatten", "movedim", "narrow", "permute", "reshape", "select", "slice", "split",
    "split_with_sizes", "squeeze", "swapaxes", "t", "to", "transpose", "unbind", "unflatten",
    "unfold", "unsqueeze", "view", "view_as", "getitem",
))  # fmt: skip


def traced(module: nn.Module, inputs: Mapping[str, Mapping[str, Any]]) -> Any:
    """The module as a graph of functional ATen operators, parameters under their names.

    Raises what torch.export raises, and NotImplementedError for a write into part of a tensor.
    """
    example = {
        name: torch.zeros(
            [2 if n == "batch" else n for n in said["shape"]], dtype=getattr(torch, said["dtype"])
        )
        for name, said in inputs.items()
    }
    batch = torch.export.Dim("batch", min=1)
    free = {name: ({0: batch} if said["shape"][0] == "batch" else {})
            for name, said in inputs.items()}  # fmt: skip
    program = torch.export.export(module.eval(), (), example, dynamic_shapes=free)
    graph_module = program.module()
    graph = graph_module.graph
    graph.owning_module = None  # names of modules to come are no mistakes
    _without_writes(graph)
    for node in list(graph.nodes):
        if node.op == "call_module":  # guards of the example's shapes
            graph.erase_node(node)
        elif node.target is aten.view.default:
            node.target = aten.reshape.default  # what made its argument contiguous may be gone
        elif node.target in NOTHING:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
        elif node.target is aten.adaptive_avg_pool2d.default and list(node.args[1]) == [1, 1]:
            _as_mean(graph, node, [2, 3])
        elif node.target is aten.adaptive_avg_pool1d.default and list(node.args[1]) == [1]:
            _as_mean(graph, node, [2])
    drop_unused(graph)
    return graph_module


def attribute(module: nn.Module, target: str) -> Any:
    """What a dotted name stands for."""
    return operator.attrgetter(target)(module) if "." in target else getattr(module, target)


def _without_writes(graph: Any) -> None:
    """Operators that write into their first argument become ones that give a new tensor."""
    order = {node: index for index, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        name = getattr(getattr(node.target, "_overloadpacket", None), "__name__", "")
        if node.op != "call_function" or not name.endswith("_") or not hasattr(aten, name[:-1]):
            continue
        _refuse_shared(node, order)
        packet = getattr(aten, name[:-1])
        node.target = getattr(packet, node.target._overloadname, packet)
        for user in [user for user in node.args[0].users if order[user] > order[node]]:
            user.replace_input_with(node.args[0], node)


def _refuse_shared(write: Any, order: Mapping[Any, int]) -> None:
    """Raise where something else reads the memory that is written, afterwards."""
    pending, known = [write.args[0]], {write.args[0]}
    while pending:
        node = pending.pop()
        near = [user for user in node.users if _is_view(user) and user.args[0] is node]
        if _is_view(node):
            near.append(node.args[0])
        for other in near:
            if other not in known:
                known.add(other)
                pending.append(other)
    for node in known - {write.args[0]}:
        if any(order[user] > order[write] for user in node.users):
            lines = [line.strip() for line in str(write.meta.get("stack_trace", "")).splitlines()]
            places = [line for line in lines if line.startswith("File ")]
            raise NotImplementedError(
                "a write in place into a part or another view of a tensor that is read afterwards: "
                + (places[-1] if places else str(write))
            )


def _is_view(node: Any) -> bool:
    packet = getattr(node.target, "_overloadpacket", node.target)
    return node.op == "call_function" and getattr(packet, "__name__", "") in VIEWS


def drop_unused(graph: Any) -> None:
    """Take out attributes and operators whose results nothing reads."""
    for node in reversed(list(graph.nodes)):
        if node.op in ("get_attr", "call_function") and not node.users:
            graph.erase_node(node)


def _as_mean(graph: Any, node: Any, axes: List[int]) -> None:
    with graph.inserting_before(node):
        made = graph.call_function(aten.mean.dim, (node.args[0], axes, True))
    made.meta = dict(node.meta)
    node.replace_all_uses_with(made)
    graph.erase_node(node)
