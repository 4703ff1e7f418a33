"""Which channels go together, as Torch-Pruning's dependency graph tells it.

Only the graph is taken from there: what rows of which tensor a channel is, and how grouped
convolutions tie channels, is told here, and the cutting is done by ``agent/edits.py``.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
import torch_pruning
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch_pruning.dependency import graph as dependency
from torch_pruning.dependency import index_mapping, shape_infer
from torch_pruning.dependency.index_mapping import _ConcatIndexMapping
from torch_pruning.ops import OPTYPE

from edgeopt.pruning.groups import Group, LeftAlone, Role, Slice
from edgeopt.pruning.surgery import depthwise
from edgeopt.pruning.tracing import Feeds, check_traceable, whole_attention
from edgeopt.schema.errors import PassError

MAKERS = (_ConvNd, nn.Linear, nn.Embedding)
TURNS = 50  # how often a dependency may stand in a group: once for each part of a concatenation
Pairs = list[tuple[int, int]]  # (index in the layer, channel of the group)


class RefusalError(Exception):
    """Why a group cannot be pruned."""


def channel_groups(module: nn.Module, feeds: Feeds) -> Iterator[Group | LeftAlone]:
    """Every group of channels in the order of the graph, or layers that cannot be pruned.

    None of them has been tried yet. Raises PassError for a module that cannot be traced.
    """
    traced = copy.deepcopy(module).requires_grad_().eval()
    check_traceable(traced, feeds)
    paths = {each: path for path, each in traced.named_modules()}
    seen: set[Any] = set()
    graph = _graph(traced, feeds)
    for root in [m for m in graph.module2node if isinstance(m, MAKERS)]:
        if root in seen:
            continue
        try:
            items = _items(graph, root)
        except RefusalError as refusal:
            seen.add(root)
            yield LeftAlone((paths[root],), str(refusal))
            continue
        except Exception as error:  # asserts, and whatever a construct unknown to it makes
            seen.add(root)
            yield LeftAlone((paths[root],), f"Torch-Pruning cannot follow it: {error}"[:200])
            continue
        makers = [i.dep.target.module for i in items if _makes(graph, i)]
        seen.update(m for m in makers if isinstance(m, MAKERS))
        layers = dict.fromkeys([root, *(m for m in makers if isinstance(m, MAKERS))])
        try:
            yield _group(graph, traced, paths, list(layers))
        except RefusalError as refusal:
            yield LeftAlone(tuple(paths[m] for m in layers), str(refusal))


def _graph(traced: nn.Module, feeds: Feeds) -> Any:
    with warnings.catch_warnings(), torch.enable_grad(), whole_attention(), _reshapes_tried():
        warnings.simplefilter("ignore")
        graph = torch_pruning.DependencyGraph()
        try:
            graph.build_dependency(traced, dict(feeds), verbose=False)
        except Exception as error:  # whatever a construct unknown to it makes
            raise PassError(
                f"Torch-Pruning cannot follow the network: {type(error).__name__}: {error}"[:300],
                hint="States of a recurrent layer that are joined or reshaped are beyond it.",
            ) from error
        _map_padded(graph)
    return graph


def _map_padded(graph: Any) -> None:
    """Teach the graph what it takes for an operation on each element: padding of channels."""
    for node in graph.module2node.values():
        padded = getattr(node.grad_fn, "_saved_pad", None)
        axes = len(node.grad_fn._input_metadata[0].shape) if padded else 0
        at = 2 * (axes - 2)  # pads go from the last axis to the first, channels are the second
        if not padded or axes < 3 or len(padded) <= at:
            continue
        for source in node.inputs:
            channels = shape_infer.infer_out_channels_recursively(graph, source, [0])
            if channels is None:
                continue
            offset = [padded[at], padded[at] + channels]
            for dep in node.dependencies:
                if dep.target is source:
                    dep.index_mapping[0] = _ConcatIndexMapping(offset, reverse=True)
            for dep in source.dependencies:
                if dep.target is node:
                    dep.index_mapping[0] = _ConcatIndexMapping(offset, reverse=False)


def _items(graph: Any, root: nn.Module) -> list[Any]:
    """What goes with each channel of a layer. Raises RefusalError where that has no end."""
    cut = graph.get_pruner_of_module(root).prune_out_channels
    with _ending(graph), _reshapes_tried():
        return list(graph.get_pruning_group(root, cut, list(range(graph.get_out_channels(root)))))


@contextmanager
def _reshapes_tried() -> Iterator[None]:
    """Reshapes that Torch-Pruning fails at (a channel shuffle: it divides by zero) map nothing;
    what is wrong with that shows when the group is tried.
    """
    mapped = index_mapping.update_reshape_index_mapping

    def tried(graph: Any, node: Any) -> None:
        with suppress(ZeroDivisionError):
            mapped(graph, node)

    index_mapping.update_reshape_index_mapping = tried
    try:
        yield
    finally:
        index_mapping.update_reshape_index_mapping = mapped


@contextmanager
def _ending(graph: Any) -> Iterator[None]:
    """Groups with an end: where an operation multiplies channels with each other, as a Gram matrix
    does, the graph walks in circles, to more indices each time than anything has there.
    """
    nodes = graph.module2node.values()
    turns = TURNS * sum(len(node.dependencies) for node in nodes)
    weights = sum(p.numel() for p in graph.model.parameters())
    most = weights + max(prod(shape) for node in nodes for shape in _shapes(node))

    class Ending(dependency.Group):  # type: ignore[misc]
        def add_dep(self, dep: Any, idxs: Any) -> None:
            if len(idxs) > most or len(self) > turns:
                raise RefusalError("an operation mixes its channels with each other")
            super().add_dep(dep, idxs)

    was = dependency.Group
    dependency.Group = Ending
    try:
        yield
    finally:
        dependency.Group = was


def _shapes(node: Any) -> list[Any]:
    """Shapes that go into a node of the graph; one of nothing where it does not say."""
    metadata = getattr(node.grad_fn, "_input_metadata", ())
    return [each.shape for each in metadata] or [()]


def _group(
    graph: Any, traced: nn.Module, paths: dict[nn.Module, str], makers: list[nn.Module]
) -> Group:
    """The group of layers that go together, from the first one's channels.

    Where channels are padded on the way, the layer with the fewest begins: the padding stays
    as it is, and so do channels that it alone makes. Raises RefusalError.
    """
    narrow = min(makers, key=graph.get_out_channels)
    root = makers[0]
    if graph.get_out_channels(narrow) < graph.get_out_channels(root) and _padded(graph):
        root = narrow
    units = graph.get_out_channels(root)
    order = list(paths)
    first = min((m for m in makers if graph.get_out_channels(m) == units), key=order.index)
    return _Building(graph, traced, paths, paths[first], units).group(_items(graph, root))


def _padded(graph: Any) -> bool:
    """Whether the network joins layers of unlike widths at all: by padding or concatenation."""
    names = (str(getattr(n.grad_fn, "name", str)()) for n in graph.module2node.values())
    return any("ConstantPad" in name or "CatBackward" in name for name in names)


def _makes(graph: Any, item: Any) -> bool:
    return bool(graph.is_out_channel_pruning_fn(item.dep.handler))


@dataclass
class _Building:
    """One group, built item by item."""

    graph: Any
    traced: nn.Module
    paths: dict[nn.Module, str]
    name: str
    channels: int
    rows: dict[tuple[str, str, int, Role], Pairs] = field(default_factory=dict)
    ties: list[int] = field(default_factory=list)  # union-find over channels

    def group(self, items: list[Any]) -> Group:
        """Raises RefusalError."""
        self.ties = list(range(self.channels))
        for item in items:
            self._take(item)
        units = self._units()
        slices = []
        for (path, tensor, axis, role), pairs in sorted(self.rows.items()):
            by_channel: dict[int, set[int]] = {}
            for index, channel in pairs:
                by_channel.setdefault(channel, set()).add(index)
            rows = tuple(
                tuple(sorted({i for c in unit for i in by_channel.get(c, ())})) for unit in units
            )
            slices.append(Slice(path, tensor, axis, rows, role))
        order = {path: at for at, path in enumerate(self.paths.values())}
        slices.sort(key=lambda s: (s.path != self.name, order.get(s.path, 0), s.tensor, s.axis))
        return Group(self.name, "channel", len(units), len(units[0]), tuple(slices))

    def _take(self, item: Any) -> None:
        node = item.dep.target
        layer = node.module
        if any(channel is None for channel in item.root_idxs):
            raise RefusalError("a reshape mixes its channels")
        pairs = list(zip(item.idxs, item.root_idxs, strict=True))
        out = _makes(self.graph, item)
        if isinstance(layer, nn.Parameter):
            self._parameter(node, pairs)
        elif layer not in self.paths:  # what the graph calls an operation
            if type(layer).__name__ == "_OutputOp":
                raise RefusalError("its channels are the network's output")
        else:
            self._layer(layer, self.paths[layer], pairs, out)

    def _layer(self, layer: Any, path: str, pairs: Pairs, out: bool) -> None:
        if isinstance(layer, _ConvNd):
            self._convolution(layer, path, pairs, out)
        elif isinstance(layer, nn.Linear):
            if out:
                self._add(layer, path, {"weight": (0, "out"), "bias": (0, "shift")}, pairs)
            else:
                joined = _joined(self.graph, self.graph.module2node[layer])
                flat = pairs if joined else _flattened(pairs, layer.in_features, self.channels)
                self._add(layer, path, {"weight": (1, "in")}, flat)
        elif isinstance(layer, _BatchNorm | _InstanceNorm):
            state: Any = {"running_mean": (0, "state"), "running_var": (0, "state")}
            self._add(layer, path, {"weight": (0, "scale"), "bias": (0, "shift")} | state, pairs)
        elif isinstance(layer, nn.Embedding):
            self._add(layer, path, {"weight": (1, "out")}, pairs)
        elif isinstance(layer, nn.PReLU):
            if layer.num_parameters > 1:
                self._add(layer, path, {"weight": (0, "scale")}, pairs)
        elif isinstance(layer, nn.LayerNorm | nn.GroupNorm):
            raise RefusalError(
                f"'{path}' normalizes over its channels: without some, all others change"
            )
        elif isinstance(layer, nn.MultiheadAttention):
            raise RefusalError(
                f"'{path}' gives as many channels as it takes; its heads can be pruned"
            )
        elif next(layer.parameters(), None) is not None:
            raise RefusalError(f"'{path}' is a {type(layer).__name__}, which is not pruned")

    def _convolution(self, layer: _ConvNd, path: str, pairs: Pairs, out: bool) -> None:
        makes, reads = (1, 0) if layer.transposed else (0, 1)
        if depthwise(layer):
            self._add(layer, path, {"weight": (0, "out"), "bias": (0, "shift")}, pairs)
        elif layer.groups == 1:
            said: Any = {"weight": (makes, "out"), "bias": (0, "shift")}
            self._add(layer, path, said if out else {"weight": (reads, "in")}, pairs)
        elif layer.groups in (layer.in_channels, layer.out_channels):
            raise RefusalError(
                f"'{path}' makes several channels of each group's one, or one of several"
            )
        else:
            self._grouped(layer, path, pairs, out)

    def _grouped(self, layer: _ConvNd, path: str, pairs: Pairs, out: bool) -> None:
        """Each group of the convolution must lose as many channels, and the same ones."""
        if layer.transposed:
            raise RefusalError(f"'{path}' is a grouped transposed convolution, which is not pruned")
        size = (layer.out_channels if out else layer.in_channels) // layer.groups
        first: dict[int, int] = {}
        for index, channel in pairs:
            self._tie(first.setdefault(index % size, channel), channel)
        if len({index for index, _ in pairs}) != size * layer.groups:
            raise RefusalError(f"'{path}' has groups of which only some would lose channels")
        if out:
            self._add(layer, path, {"weight": (0, "out"), "bias": (0, "shift")}, pairs)
        else:
            folded = [(index % size, channel) for index, channel in pairs]
            self._add(layer, path, {"weight": (1, "in")}, folded)

    def _parameter(self, node: Any, pairs: Pairs) -> None:
        full = self.graph._param_to_name[node.module]
        path, _, tensor = full.rpartition(".")
        axis, shape = node.pruning_dim, node.module.shape
        axis = axis % len(shape)
        if shape[axis] > 1:
            if len({i for i, _ in pairs}) != shape[axis]:
                raise RefusalError(f"'{full}' has other axes than its channels")
            self._add(self.traced.get_submodule(path), path, {tensor: (axis, "scale")}, pairs)

    def _add(
        self, layer: nn.Module, path: str, said: dict[str, tuple[int, Role]], pairs: Pairs
    ) -> None:
        plain = {**layer._parameters, **layer._buffers}
        for tensor, (axis, role) in said.items():
            if tensor == "weight" and tensor not in plain:
                raise RefusalError(f"'{path}' computes its weight from other tensors")
            if (values := plain.get(tensor)) is None:
                continue
            if max(i for i, _ in pairs) >= values.shape[axis]:
                raise RefusalError(
                    f"channels are padded, dropped or mixed on the way to '{path}', which has "
                    f"{values.shape[axis]}"
                )
            self._refuse_shared(values, path)
            owner: dict[int, int] = {}
            for index, channel in pairs:
                self._tie(owner.setdefault(index, channel), channel)
            self.rows.setdefault((path, tensor, axis, role), []).extend(pairs)

    def _refuse_shared(self, values: Any, path: str) -> None:
        for other, each in self.traced.named_modules():
            if other != path and any(values is p for p in each._parameters.values()):
                raise RefusalError(f"'{path}' shares its weights with '{other}'")

    def _tie(self, a: int, b: int) -> None:
        self.ties[self._first(a)] = self._first(b)

    def _first(self, channel: int) -> int:
        while self.ties[channel] != channel:
            channel = self.ties[channel]
        return channel

    def _units(self) -> list[list[int]]:
        """Channels that can only go together; all units are as large as each other."""
        by_first: dict[int, list[int]] = {}
        for channel in range(self.channels):
            by_first.setdefault(self._first(channel), []).append(channel)
        units = sorted(by_first.values())
        if len({len(unit) for unit in units}) > 1:
            raise RefusalError("groups of convolutions tie its channels unevenly")
        return units


def _joined(graph: Any, node: Any) -> bool:
    """Whether a concatenation stands between a layer and those that it reads."""
    waiting, seen = list(node.inputs), set()
    while waiting:
        before = waiting.pop()
        if before in seen or isinstance(before.module, MAKERS):
            continue
        if before.type == OPTYPE.CONCAT:
            return True
        seen.add(before)
        waiting += before.inputs
    return False


def _flattened(pairs: Pairs, features: int, channels: int) -> Pairs:
    """Features behind a flatten that the graph has not seen: each channel is a run of them."""
    indices = sorted({index for index, _ in pairs})
    run, rest = divmod(features, channels)
    if run < 2 or rest or indices != list(range(channels)):
        return pairs
    return [(index * run + k, channel) for index, channel in pairs for k in range(run)]
