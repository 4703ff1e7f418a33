"""The nouns of pruning: groups of units that can only go together, and layers left alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["out", "in", "scale", "shift", "state"]
Kept = Mapping[str, tuple[int, ...]]  # group -> the units that stay, ascending


@dataclass(frozen=True)
class Slice:
    """Rows of a tensor that belong to the units of a group.

    ``rows[u]`` are the indices along ``axis`` that go with unit ``u``. ``role``: ``out`` are
    weights that make the unit, ``in`` weights that read it, ``scale`` and ``shift`` its batch
    norm's and biases, ``state`` a norm's running figures.
    """

    path: str
    tensor: str
    axis: int
    rows: tuple[tuple[int, ...], ...]
    role: Role


@dataclass(frozen=True)
class Number:
    """An attribute of a module that shrinks by ``step`` with each unit that goes."""

    path: str
    attribute: str
    step: int


@dataclass(frozen=True)
class Group:
    """Units, channels or heads, of layers that can only be pruned together.

    ``name`` is the path of the first layer that makes them; ``per_unit`` how many of its
    channels a unit is. ``attentions`` are the ``nn.MultiheadAttention`` modules whose heads
    they are.
    """

    name: str
    unit: Literal["channel", "head"]
    units: int
    per_unit: int
    slices: tuple[Slice, ...]
    numbers: tuple[Number, ...] = ()
    attentions: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the layers that lose outputs."""
        paths = (s.path for s in self.slices if s.role == "out")
        return tuple(dict.fromkeys((*paths, *self.attentions)))


@dataclass(frozen=True)
class LeftAlone:
    """Layers that cannot be pruned, and why."""

    layers: tuple[str, ...]
    reason: str

    @property
    def name(self) -> str:
        """Path of the first layer."""
        return self.layers[0]


@dataclass(frozen=True)
class Layer:
    """One line of what can be pruned: for people."""

    path: str
    kind: str
    units: int  # 0 where it is left alone
    unit: str
    group: str
    reason: str = ""

    @property
    def prunable(self) -> bool:
        return not self.reason


def records(
    module: Any, groups: Iterable[Group], left: Iterable[LeftAlone]
) -> tuple[Layer, ...]:  # fmt: skip
    """A record of every layer with weights, in the module's own order."""
    layers: dict[str, Layer] = {}
    kinds = {path: type(each).__name__ for path, each in module.named_modules()}
    for alone in left:
        for path in alone.layers:
            layers[path] = Layer(path, kinds.get(path, ""), 0, "", "", alone.reason)
    for group in groups:
        for path in group.layers:
            layers[path] = Layer(path, kinds.get(path, ""), group.units, group.unit, group.name)
    order = {path: at for at, path in enumerate(kinds)}
    return tuple(sorted(layers.values(), key=lambda layer: order.get(layer.path, len(order))))
