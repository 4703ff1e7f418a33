"""Fake quantization of a module as a graph: which layers and tensors, and the frozen form.

The scheme is the one that integer kernels compute in (Jacob et al., arXiv:1712.05877): batch norm
folded into the layer before it, weights symmetric with a scale for each output channel, biases in
steps of input scale times weight scale, one 8-bit grid for each tensor that flows between
operators, taken after the activation that kernels fuse. A grid is written as
``scale * (code - zero_point)`` with codes 0 to 255; int8 codes are the same less 128.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

import torch
from torch import nn

from .traced import attribute, drop_unused, traced

aten = torch.ops.aten
WEIGHTED = (aten.conv1d.default, aten.conv2d.default, aten.conv1d.padding, aten.conv2d.padding,
            aten.linear.default)  # fmt: skip
OVER_ONE_AXIS = (aten.conv1d.default, aten.conv1d.padding)
NORM = aten.batch_norm.default
ACTIVATIONS = (aten.relu.default, aten.hardtanh.default, aten.relu6.default, aten.clamp.default)
MEANS = (aten.mean.dim,)
SAME_GRID = (  # these move or pick codes, or average codes of one grid
    aten.max_pool2d.default, aten.max_pool1d.default, aten.avg_pool2d.default,
    aten.avg_pool1d.default, aten.flatten.using_ints, aten.view.default, aten.reshape.default,
    aten.permute.default, aten.transpose.int, aten.squeeze.dim, aten.squeeze.dims,
    aten.squeeze.default, aten.unsqueeze.default, aten.slice.Tensor, aten.expand.default,
)  # fmt: skip
PADS = {aten.constant_pad_nd.default: 2, aten.pad.default: 3}  # where the value stands; 0 alone
LEVELS = 255


class FakeQuantize(nn.Module):
    """Values brought to the nearest of 256 codes, ties to even codes, and back to real."""

    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("zero_point", torch.zeros((), dtype=torch.int32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape in, the same out."""
        codes = torch.clamp(torch.round(x / self.scale) + self.zero_point, 0, LEVELS)
        return (codes - self.zero_point) * self.scale


@dataclass
class Layer:
    """A weighted operator with the batch norm that belongs to it."""

    name: str  # of the module that holds the weight
    node: Any  # the operator
    norm: Any  # the batch norm's node, or None
    quantized: bool

    @property
    def last(self) -> Any:
        """The node whose result the layer gives, before its activation."""
        return self.norm or self.node


@dataclass
class Layout:
    """Where a graph is quantized: layers, and grids by name with the nodes that lie on them."""

    graph_module: Any
    layers: List[Layer]
    grids: Dict[str, List[Any]] = field(default_factory=dict)


def quantized_form(module: nn.Module, record: Mapping[str, Any]) -> nn.Module:
    """The frozen module of an edit ``fake-quantize``; its state is what training leaves.

    ``inputs`` maps names to ``shape`` (the batch is called "batch") and ``dtype``; ``float``
    names layers that keep float weights; with ``scheme`` "int8", what is concatenated lies on
    one grid, as LiteRT needs it. Raises what torch.export raises.
    """
    layout = laid_out(module, record["inputs"], tuple(record["float"]), one_grid(record["scheme"]))
    return built(layout, frozen_layer, lambda name: FakeQuantize())


def one_grid(scheme: str) -> bool:
    """Whether the runtime of a scheme concatenates tensors of one grid only."""
    return scheme == "int8"


def laid_out(
    module: nn.Module,
    inputs: Mapping[str, Mapping[str, Any]],
    floats: Tuple[str, ...],
    joined: bool,
) -> Layout:
    """Trace a module in evaluation mode and choose its layers and grids."""
    graph_module = traced(module, inputs)
    layers = list(_layers(graph_module.graph, floats))
    layout = Layout(graph_module, layers)
    layout.grids = _grids(graph_module.graph, layers, joined)
    return layout


def built(
    layout: Layout,
    layer: Callable[[Layout, Layer, Dict[str, Any]], None],
    grid: Callable[[str], nn.Module],
) -> nn.Module:
    """A module of the layout's graph with layers and grids as the two functions make them.

    ``layer`` rewrites the graph around one layer and adds what it needs to the mapping of
    attributes; ``grid`` makes the module of a grid's name.
    """
    graph = layout.graph_module.graph
    held: Dict[str, Any] = {}
    for name, nodes in layout.grids.items():
        held["grids." + name] = grid(name)
        for node in nodes:
            with graph.inserting_after(node):
                call = graph.call_module("grids." + name, (node,))
            for user in [user for user in node.users if user is not call]:
                user.replace_input_with(node, call)
    for one in layout.layers:
        layer(layout, one, held)
    drop_unused(graph)
    for node in graph.nodes:
        if node.op == "get_attr" and node.target not in held:
            held[node.target] = copy.deepcopy(attribute(layout.graph_module, node.target))
    graph_module = torch.fx.GraphModule(held, graph)
    for name, value in held.items():
        if isinstance(value, Scale):  # read by exports, not by the graph
            graph_module.add_submodule(name, value)
    return graph_module.eval()


def frozen_layer(layout: Layout, layer: Layer, held: Dict[str, Any]) -> None:
    """A layer with its batch norm folded into weight and bias, and the weight's scales."""
    graph, node = layout.graph_module.graph, layer.node
    weight = attribute(layout.graph_module, node.args[1].target)
    bias = bias_of(node)
    if layer.norm is not None or bias is not None:
        held[layer.name + ".bias"] = nn.Parameter(torch.zeros(len(weight)))
        with graph.inserting_before(node):
            given = graph.get_attr(layer.name + ".bias")
        rest = node.args[3:]
        node.args = (*node.args[:2], given, *rest)
    if layer.norm is not None:
        layer.norm.replace_all_uses_with(node)
        graph.erase_node(layer.norm)
    if layer.quantized:
        held[layer.name + ".weight_scale"] = Scale(len(weight))


class Scale(nn.Module):
    """The scales of a weight, one for each output channel."""

    value: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("value", torch.ones(channels))


def bias_of(node: Any) -> Any:
    """The bias of a weighted operator's node, or None."""
    return node.args[2] if len(node.args) > 2 else node.kwargs.get("bias")


def _layers(graph: Any, floats: Tuple[str, ...]) -> Iterator[Layer]:
    """Layers in the graph's order; one whose weight has another user is left as it is."""
    for node in graph.nodes:
        if node.target not in WEIGHTED or node.args[1].op != "get_attr":
            continue
        weight = node.args[1]
        bias = bias_of(node)
        if len(weight.users) > 1 or (bias is not None and bias.op != "get_attr"):
            continue
        target = str(weight.target)
        same = [n for n in graph.nodes if n.op == "get_attr" and n.target == target]
        if len(same) > 1 or not target.endswith(".weight"):
            continue
        name = target[: -len(".weight")]
        yield Layer(name, node, _norm_after(node), name not in floats)


def _norm_after(node: Any) -> Any:
    """The batch norm that alone reads a node's result, over its channels."""
    users = list(node.users)
    if len(users) != 1 or users[0].target is not NORM or users[0].args[0] is not node:
        return None
    if node.target is aten.linear.default and len(node.meta["val"].shape) != 2:
        return None
    return users[0]


def fused(node: Any) -> Any:
    """The activation that alone reads a node's result, or the node."""
    users = list(node.users)
    if len(users) == 1 and users[0].target in ACTIVATIONS and users[0].args[0] is node:
        return users[0]
    return node


def _grids(graph: Any, layers: List[Layer], joined: bool) -> Dict[str, List[Any]]:
    """Grids by number, in the graph's order: inputs and results of quantized operators.

    ``joined``: whether what is concatenated has one grid.
    """
    forest = _Forest(graph.nodes)
    by_node = {layer.node: layer for layer in layers}
    for node in graph.nodes:
        layer = by_node.get(node)
        if layer is not None and layer.quantized:
            forest.place(node.args[0], fused(layer.last))
        elif node.target is aten.add.Tensor and _plain_add(node):
            forest.place(node.args[0], node.args[1], fused(node))
        elif node.target in MEANS:
            forest.place(node.args[0], node)
        elif node.target is aten.cat.default and any(part in forest for part in node.args[0]):
            forest.place(*node.args[0], node)
            if joined:
                forest.join(*node.args[0], node)
        elif _same_grid(node) and node.args[0] in forest:
            forest.join(node.args[0], node)
    return {str(index): nodes for index, nodes in enumerate(forest.trees())}


class _Forest:
    """Nodes that share a grid, as trees whose roots are the earliest in the graph."""

    def __init__(self, nodes: Any) -> None:
        self._order = {node: index for index, node in enumerate(nodes)}
        self._parent: Dict[Any, Any] = {}

    def __contains__(self, node: Any) -> bool:
        return node in self._parent

    def place(self, *nodes: Any) -> None:
        """Take nodes in, each as a tree of its own unless it is there already."""
        for node in nodes:
            self._parent.setdefault(node, node)

    def join(self, *nodes: Any) -> None:
        """Make one tree of those that the nodes are in."""
        self.place(*nodes)
        first = min((self._root(node) for node in nodes), key=self._order.__getitem__)
        for node in nodes:
            self._parent[self._root(node)] = first

    def trees(self) -> List[List[Any]]:
        """The nodes of each tree, all in the graph's order."""
        by_root: Dict[Any, List[Any]] = {}
        for node in sorted(self._parent, key=self._order.__getitem__):
            by_root.setdefault(self._root(node), []).append(node)
        return list(by_root.values())

    def _root(self, node: Any) -> Any:
        while self._parent[node] is not node:
            node = self._parent[node]
        return node


def _same_grid(node: Any) -> bool:
    """Whether a node's result lies on the grid of its first argument, whatever it is."""
    if node.target in PADS:
        place = PADS[node.target]
        return not (node.args[place] if len(node.args) > place else 0)
    return node.target in SAME_GRID


def _plain_add(node: Any) -> bool:
    """Whether two tensors of one shape are added, neither of them a constant."""
    sides = node.args[:2]
    if node.kwargs.get("alpha", 1) != 1 or not all(isinstance(s, torch.fx.Node) for s in sides):
        return False
    if any(s.op == "get_attr" for s in sides):
        return False
    shapes = [tuple(map(str, s.meta["val"].shape)) for s in sides]
    return shapes[0] == shapes[1] and sides[0].meta["val"].is_floating_point()


def scales_of(module: nn.Module) -> Dict[str, torch.Tensor]:
    """Scales of quantized weights, (channels,) each, by layer."""
    return {
        name[: -len(".weight_scale")]: made.value
        for name, made in module.named_modules()
        if isinstance(made, Scale)
    }


def input_grid(module: nn.Module, node: Any) -> Optional[FakeQuantize]:
    """The grid that the data of a layer's node lies on."""
    source = node.args[0]
    if source.op != "call_module":
        return None
    return attribute(module, source.target)  # type: ignore[no-any-return]
