"""The proof of pruning: a pruned module against the whole one with zeros in place of what went."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from edgeopt.formats.torch.module import named_outputs
from edgeopt.pruning.groups import Group, Kept
from edgeopt.pruning.surgery import edits_of, pruned, removed

RTOL, ATOL = 1e-4, 1e-6  # of the largest output; sums of other lengths round otherwise
Feeds = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Gap:
    """The largest difference of any output, absolute and against that output's largest value."""

    max_abs: float
    largest: float

    @property
    def excess(self) -> float:
        """What is beyond rounding; negative where nothing is."""
        return self.max_abs - ATOL - RTOL * self.largest

    @property
    def agrees(self) -> bool:
        return self.excess <= 0


class OtherOutputError(Exception):
    """An output that has another shape than before; its name."""


def masked(module: nn.Module, groups: Iterable[Group], kept: Kept) -> nn.Module:
    """A copy of the whole module with zeros in place of all rows that go.

    A channel is zero behind its norm whatever the norm has learned: scale and shift are zeros,
    and a norm without them has mean 0 and variance 1 there.
    """
    zeroed = copy.deepcopy(module)
    there = dict(zeroed.named_modules())
    with torch.no_grad():
        for (path, tensor, axis), gone in removed(groups, kept).items():
            values = getattr(there[path], tensor)
            fill = 1.0 if tensor == "running_var" else 0.0
            values.index_fill_(axis, torch.tensor(sorted(gone), device=values.device), fill)
    return zeroed


def gap(
    module: nn.Module, smaller: nn.Module, groups: Iterable[Group], kept: Kept, feeds: Feeds
) -> Gap:
    """How far a pruned module is from the masked whole one, on the same samples.

    Raises whatever the pruned module raises when it runs.
    """
    expected = outputs(masked(module, groups, kept), feeds)
    actual = outputs(smaller, feeds)
    worst: Gap | None = None
    for name, values in expected.items():
        other = actual.get(name)
        if other is None or other.shape != values.shape:
            raise OtherOutputError(name)
        if not values.is_floating_point():
            continue
        off = (other - values).abs().masked_fill(other == values, 0.0)  # equal infinities too
        apart = float(off.max()) if values.numel() else 0.0
        largest = float(values.abs().masked_fill(values.isinf(), 0.0).max())
        each = Gap(apart if apart == apart else float("inf"), largest)
        if worst is None or each.excess > worst.excess:
            worst = each
    return worst or Gap(0.0, 0.0)


def outputs(module: nn.Module, feeds: Feeds) -> dict[str, torch.Tensor]:
    """Outputs by name, in evaluation mode, without gradients."""
    was = module.training
    module.eval()
    try:
        with torch.no_grad():
            return named_outputs(module(**feeds), type(module).__name__)
    finally:
        module.train(was)


def failure(module: nn.Module, group: Group, feeds: Feeds, seed: int = 0) -> str:
    """Why a group cannot be pruned, found by pruning it; empty where it can.

    Half of its units go, drawn at random because neighbours would hide wrong mappings, then a
    single one, because some halves are their own mirror image.
    """
    if group.units < 2:
        return f"it has a single {group.unit}"
    generator = torch.Generator().manual_seed(seed)
    drawn = [int(u) for u in torch.randperm(group.units, generator=generator)]
    for count in dict.fromkeys((max(1, group.units // 2), group.units - 1)):
        if reason := _failure(module, group, {group.name: tuple(sorted(drawn[:count]))}, feeds):
            return reason
    return ""


def _failure(module: nn.Module, group: Group, kept: Kept, feeds: Feeds) -> str:
    try:
        difference = gap(
            module, pruned(module, edits_of(module, [group], kept)), [group], kept, feeds
        )
    except OtherOutputError as error:
        return f"its {group.unit}s are the network's output '{error}'"
    except Exception as error:  # the module's own code may raise anything
        first = next(iter(str(error).strip().splitlines()), "")
        return f"without some of its {group.unit}s the network cannot run: {first[:160]}"
    if difference.agrees:
        return ""
    return (
        f"the network without some of its {group.unit}s differs from the network with zeros in "
        f"their place by {difference.max_abs:.3g} of {difference.largest:.3g}"
    )
