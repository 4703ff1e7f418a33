"""From the units that stay to records of edits, and their replay on a copy."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from edgeopt.formats.torch import edits
from edgeopt.pruning.groups import Group, Kept

Rows = dict[tuple[str, str, int], set[int]]  # (path, tensor, axis) -> indices that go


def removed(groups: Iterable[Group], kept: Kept) -> Rows:
    """The indices that go from each axis of each tensor."""
    by_axis: Rows = {}
    for group in groups:
        if group.name not in kept:
            continue
        gone = set(range(group.units)) - set(kept[group.name])
        for each in group.slices:
            key = (each.path, each.tensor, each.axis)
            rows = by_axis.setdefault(key, set())
            rows.update(index for unit in gone for index in each.rows[unit])
    return {key: rows for key, rows in by_axis.items() if rows}


def edits_of(module: nn.Module, groups: Iterable[Group], kept: Kept) -> list[edits.Record]:
    """The records that leave a module with the units that stay."""
    groups = [g for g in groups if len(kept.get(g.name, range(g.units))) < g.units]
    there = dict(module.named_modules())
    said: dict[str, dict[str, Any]] = {}
    for (path, tensor, axis), gone in removed(groups, kept).items():
        size = getattr(there[path], tensor).shape[axis]
        entry = said.setdefault(path, {"keep": {}, "set": {}})
        stay = [index for index in range(size) if index not in gone]
        entry["keep"].setdefault(tensor, {})[str(axis)] = stay
    for path, entry in said.items():
        entry["set"] = _numbers(there[path], entry["keep"])
    for group in groups:
        lost = group.units - len(kept[group.name])
        for number in group.numbers:
            entry = said.setdefault(number.path, {"keep": {}, "set": {}})
            now = entry["set"].get(number.attribute, getattr(there[number.path], number.attribute))
            entry["set"][number.attribute] = now - lost * number.step
    records: list[edits.Record] = []
    if narrow := sorted({path for group in groups for path in group.attentions}):
        records.append({"edit": "narrow-attention", "modules": {path: {} for path in narrow}})
    if said:
        records.append({"edit": "prune", "modules": said})
    return records


def pruned(module: nn.Module, records: list[edits.Record]) -> nn.Module:
    """A copy with the edits done."""
    copied = copy.deepcopy(module)
    edits.replay(copied, records)
    return copied


def _numbers(layer: Any, keep: dict[str, dict[str, list[int]]]) -> dict[str, Any]:
    """What a layer says of itself, by the rows that its weights keep."""
    by_axis = {int(axis): len(stay) for axis, stay in keep.get("weight", {}).items()}
    if isinstance(layer, _ConvNd):
        return _of_convolution(layer, by_axis)
    if isinstance(layer, nn.Linear):
        names = {0: "out_features", 1: "in_features"}
    elif isinstance(layer, nn.Embedding):
        names = {1: "embedding_dim"}
    elif isinstance(layer, nn.PReLU):
        names = {0: "num_parameters"}
    elif isinstance(layer, _NormBase):
        return {"num_features": len(next(iter(keep.values()))["0"])}
    else:
        return {}
    return {name: by_axis[axis] for axis, name in names.items() if axis in by_axis}


def _of_convolution(layer: _ConvNd, by_axis: dict[int, int]) -> dict[str, Any]:
    if depthwise(layer):
        return dict.fromkeys(("in_channels", "out_channels", "groups"), by_axis[0])
    first, second = ("in_channels", "out_channels")
    if not layer.transposed:
        first, second = second, first
    sizes = {first: by_axis[0]} if 0 in by_axis else {}
    return sizes | ({second: by_axis[1] * layer.groups} if 1 in by_axis else {})


def depthwise(layer: Any) -> bool:
    """Whether each output channel of a convolution reads the input channel of its own number."""
    return bool(
        isinstance(layer, _ConvNd)
        and layer.groups == layer.in_channels == layer.out_channels
        and layer.groups > 1
    )
