"""What of a module can be pruned, tried group by group, and what cannot, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from edgeopt.pruning.graph import channel_groups
from edgeopt.pruning.groups import Group, Layer, LeftAlone, records
from edgeopt.pruning.heads import head_groups
from edgeopt.pruning.masked import failure
from edgeopt.pruning.tracing import Feeds, whole_attention

Progress = Callable[[int, int], None]
WHOLE = (nn.RNNBase, nn.RNNCellBase, nn.Embedding, nn.EmbeddingBag, nn.Bilinear)


@dataclass(frozen=True)
class Prunable:
    """Groups that were tried and hold, and layers left alone."""

    groups: tuple[Group, ...]
    left: tuple[LeftAlone, ...]

    def layers(self, module: nn.Module) -> tuple[Layer, ...]:
        """A record of each layer, in the module's order."""
        return records(module, self.groups, self.left)


def prunable(module: nn.Module, example: Feeds) -> tuple[Layer, ...]:
    """What can be pruned of a module, layer by layer, and what cannot and why.

    ``example`` are samples by input, (n, ...) each, as real as they can be: every group is
    tried on them. The module stays as it is. Raises PassError for one that cannot be traced.
    """
    tensors = {name: torch.as_tensor(value) for name, value in example.items()}
    return find_prunable(module, tensors).layers(module)


def find_prunable(
    module: nn.Module, example: Feeds, progress: Progress = lambda _done, _all: None
) -> Prunable:
    """Groups and layers left alone. Raises PassError for a module that cannot be traced."""
    with whole_attention():
        channels = list(channel_groups(module, example))
        heads = list(head_groups(module, example))
        groups: list[Group] = []
        left: list[LeftAlone] = []
        taken: set[str] = set()
        every: list[list[Group] | LeftAlone] = [
            *heads, *(c if isinstance(c, LeftAlone) else [c] for c in channels)
        ]  # fmt: skip
        for number, ways in enumerate(every):
            progress(number, len(every))
            first: Group | LeftAlone = ways if isinstance(ways, LeftAlone) else ways[0]
            if set(first.layers) & taken:
                continue  # channels of a layer that has heads are no heads
            if number < len(heads) and isinstance(first, Group):
                taken.update(first.layers)
            holds = ways if isinstance(ways, LeftAlone) else _holding(module, ways, example)
            if isinstance(holds, Group):
                groups.append(holds)
            else:
                left.append(holds)
    known = {path for g in groups for path in g.layers} | {p for a in left for p in a.layers}
    for path, layer in module.named_modules():
        if path not in known and _weighs(layer) and not _inside(path, known, module):
            left.append(LeftAlone((path,), "the graph does not reach it"))
        elif path not in known and isinstance(layer, WHOLE):
            left.append(LeftAlone((path,), "only convolutions, linear layers and heads are pruned"))
    order = {path: at for at, (path, _) in enumerate(module.named_modules())}
    return Prunable(
        tuple(sorted(groups, key=lambda g: order[g.name])),
        tuple(sorted(left, key=lambda a: order[a.name])),
    )


def _holding(module: nn.Module, ways: Sequence[Group], example: Feeds) -> Group | LeftAlone:
    """The first way that holds; else why the likeliest does not."""
    reasons = []
    for way in ways:
        reason = failure(module, way, example)
        if not reason:
            return way
        reasons.append(reason)
    return LeftAlone(ways[0].layers, reasons[0])


def _weighs(layer: Any) -> bool:
    return isinstance(layer, nn.Linear | nn.modules.conv._ConvNd)


def _inside(path: str, known: set[str], module: nn.Module) -> bool:
    """Whether it is part of an attention that is told as one."""
    parent = path.rpartition(".")[0]
    return parent in known and isinstance(module.get_submodule(parent), nn.MultiheadAttention)
