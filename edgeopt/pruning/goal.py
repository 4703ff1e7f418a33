"""From a goal to the units that stay: MACs, parameters, or a ratio for each layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from edgeopt.formats.torch.module import macs
from edgeopt.pruning.groups import Group, Kept
from edgeopt.pruning.importance import Scores
from edgeopt.pruning.surgery import edits_of, pruned
from edgeopt.pruning.tracing import Feeds, first_of
from edgeopt.schema.errors import PassError, did_you_mean

STEPS = 24  # halvings of the share that goes
FLOOR = 0.1  # of a group's units, the least that a ranking over all groups leaves
Spread = Literal["uniform", "global"]
Quantity = Literal["macs", "parameters"]


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates of one sample, and parameters."""

    macs: int
    parameters: int


@dataclass(frozen=True)
class Chooser:
    """Chooses units of groups by their scores.

    ``round_to``: a layer keeps a multiple of so many channels; a layer that has no more stays
    whole. ``spread``: ``uniform`` takes the same share of each group, ``global`` the worst
    units wherever they are.
    """

    groups: tuple[Group, ...]
    scores: Scores
    round_to: int = 1
    spread: Spread = "uniform"

    def share(self, gone: float) -> Kept:
        """What stays when a share of all units, 0 to 1, goes."""
        if self.spread == "uniform":
            counts = {g.name: g.units * (1 - gone) for g in self.groups}
        else:
            every = torch.cat([self.scores[g.name] for g in self.groups])
            rank = torch.empty(len(every), dtype=torch.long)
            rank[every.argsort(stable=True)] = torch.arange(len(every))
            stay, counts, start = rank >= int(len(every) * gone), {}, 0
            for g in self.groups:
                mine = float(stay[start : start + g.units].sum())
                counts[g.name] = max(mine, FLOOR * g.units)
                start += g.units
        return {g.name: self._best(g, self._rounded(g, counts[g.name])) for g in self.groups}

    def ratios(self, ratio: float | Mapping[str, float]) -> Kept:
        """What stays when each layer, or each that is named, loses a ratio of its units.

        Raises PassError for a ratio that would leave a layer nothing, and for a name that is
        no prunable layer's.
        """
        by_group = self._by_group(ratio) if isinstance(ratio, Mapping) else None
        kept: dict[str, tuple[int, ...]] = {}
        for group in self.groups:
            lost = ratio if by_group is None else by_group.get(group.name, 0.0)
            assert isinstance(lost, float | int)
            exact, step = group.units * (1 - lost), self._step(group)
            if exact < 1 - 1e-9 or (group.units > step and exact < 0.5 * step):
                rounded = f", in multiples of {step * group.per_unit}" if step > 1 else ""
                raise PassError(
                    f"a ratio of {lost:g} would leave '{group.name}' none of its {group.units} "
                    f"{group.unit}s{rounded}",
                    hint="Ask for less, or name the layer under keep.",
                )
            kept[group.name] = self._best(group, self._rounded(group, exact))
        return kept

    def _by_group(self, ratio: Mapping[str, float]) -> dict[str, float]:
        owner = {path: g.name for g in self.groups for path in g.layers}
        by_group: dict[str, float] = {}
        for path, lost in ratio.items():
            if path not in owner:
                raise PassError(
                    f"'{path}' is not a layer that can be pruned", hint=did_you_mean(path, owner)
                )
            if by_group.setdefault(owner[path], lost) != lost:
                raise PassError(f"'{path}' can only be pruned as '{owner[path]}' is, by one ratio")
        return by_group

    def _step(self, group: Group) -> int:
        """Units that a group's count is a multiple of."""
        if group.unit == "head":
            return 1
        return self.round_to // math.gcd(self.round_to, group.per_unit)

    def _rounded(self, group: Group, exact: float) -> int:
        step = self._step(group)
        if group.units <= step or exact >= group.units - 1e-9:
            return group.units  # nothing goes of it
        most = group.units // step * step
        return max(step, min(most, step * math.floor(exact / step + 0.5)))

    def _best(self, group: Group, count: int) -> tuple[int, ...]:
        """The ``count`` units of the highest scores; of equals, the first ones."""
        order = self.scores[group.name].argsort(descending=True, stable=True)[:count]
        return tuple(sorted(int(unit) for unit in order))


def cost(module: nn.Module, example: Feeds) -> Cost:
    """What a module costs for one sample; ``example`` holds at least one."""
    one = first_of(example, 1)
    return Cost(macs(module, one), sum(p.numel() for p in module.parameters()))


def reach(
    module: nn.Module,
    example: Feeds,
    chooser: Chooser,
    quantity: Quantity,
    goal: float,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Kept:
    """A large choice that keeps at most ``goal`` of a quantity: bisection of the share.

    Then each group in turn gets back what the next larger choice had, where the goal allows.
    Raises PassError where all that may go is not enough.
    """
    whole = getattr(cost(module, example), quantity)

    def kept_of(kept: Kept) -> float:
        smaller = pruned(module, edits_of(module, chooser.groups, kept))
        return float(getattr(cost(smaller, example), quantity) / whole)

    low, high = 0.0, 1.0
    best = chooser.share(high)
    least = kept_of(best)
    if least > goal:
        raise PassError(
            f"{quantity}: {goal:g} cannot be reached: {least:.6g} is left when everything "
            "prunable is removed",
            hint="Some layers cannot be pruned, or are kept; round_to bounds the others.",
        )
    seen: dict[tuple[tuple[int, ...], ...], float] = {}
    above = chooser.share(low)
    for step in range(STEPS):
        progress(step, STEPS)
        middle = (low + high) / 2
        kept = chooser.share(middle)
        key = tuple(kept.values())
        if key not in seen:
            seen[key] = kept_of(kept)
        if seen[key] <= goal:
            high, best = middle, kept
        else:
            low, above = middle, kept
    for name, units in above.items():
        if units != best[name] and kept_of({**best, name: units}) <= goal:
            best = {**best, name: units}
    return best
