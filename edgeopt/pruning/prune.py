"""Pruning by structure, whole: what can go, what it is worth, the goal, surgery and its proof."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from edgeopt.formats.torch.edits import Record
from edgeopt.pruning.goal import Chooser, Cost, Quantity, Spread, cost, reach
from edgeopt.pruning.groups import Group, Kept
from edgeopt.pruning.importance import Batch, Kind, scores
from edgeopt.pruning.masked import Gap, gap
from edgeopt.pruning.prunable import Prunable, find_prunable
from edgeopt.pruning.surgery import edits_of, pruned
from edgeopt.pruning.tracing import Feeds, first_of, whole_attention
from edgeopt.schema.errors import PassError, did_you_mean

TRIED = 4  # samples that each group is tried on
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Goal:
    """What shall be left: a fraction of a quantity, or a ratio that each layer loses."""

    quantity: Quantity | None = None
    fraction: float = 1.0
    ratio: float | Mapping[str, float] | None = None


@dataclass(frozen=True)
class How:
    """How units are chosen; ``keep`` are layers that stay whole, or folders of layers."""

    importance: Kind = "group_l2"
    spread: Spread = "uniform"
    round_to: int = 8
    keep: Sequence[str] = ()


@dataclass(frozen=True)
class Pruned:
    """A pruned copy, the records that make it again, and what it cost and costs."""

    module: nn.Module
    records: list[Record]
    kept: Kept
    prunable: Prunable
    before: Cost
    after: Cost
    gap: Gap

    def report(self, module: nn.Module) -> dict[str, Any]:
        """All of it but the module, plain JSON; ``module`` is what it was made of."""
        layers = []
        for layer in self.prunable.layers(module):
            left = self.kept.get(layer.group)
            layers.append(asdict(layer) | {"kept": layer.units if left is None else len(left)})
        costs = {"before": asdict(self.before), "after": asdict(self.after)}
        return {"layers": layers, **costs, "gap": asdict(self.gap)}


def prune(
    module: nn.Module,
    batches: Sequence[Batch],
    goal: Goal,
    how: How,
    seed: int = 0,
    progress: Progress = lambda _done, _all: None,
) -> Pruned:
    """A pruned copy of a module; the module stays as it is.

    ``batches`` are real samples: groups are tried on the first ones, ``taylor`` takes its
    gradients on all, and the result is checked on the first batch against the module with
    zeros in place of what went. Raises PassError, naming the layer.
    """
    feeds = batches[0][0]
    few = first_of(feeds, TRIED)
    can = find_prunable(module, few, lambda done, every: progress(0.5 * done / every, 1))
    groups = _prunable(module, can, how.keep)
    chooser = Chooser(
        groups, scores(module, groups, how.importance, batches, seed), how.round_to, how.spread
    )
    if goal.ratio is not None:
        kept = chooser.ratios(goal.ratio)
    else:
        assert goal.quantity is not None
        kept = reach(
            module, few, chooser, goal.quantity, goal.fraction,
            lambda done, every: progress(0.5 + 0.4 * done / every, 1),
        )  # fmt: skip
    records = edits_of(module, groups, kept)
    if not records:
        raise PassError(
            f"nothing is pruned: the goal is less than {how.round_to} channels of any layer, "
            "or no layer has more",
            hint="Lower round_to, or ask for more.",
        )
    narrow = pruned(module, records)
    proof = _proven(module, narrow, groups, kept, feeds)
    _check_training(module, narrow, feeds)
    return Pruned(narrow, records, kept, can, cost(module, few), cost(narrow, few), proof)


def _prunable(module: nn.Module, can: Prunable, keep: Sequence[str]) -> tuple[Group, ...]:
    """The groups that may be touched. Raises PassError where there is none."""
    paths = [path for path, _ in module.named_modules() if path]
    for name in keep:
        if name not in paths:
            raise PassError(
                f"keep names '{name}', which is not a layer", hint=did_you_mean(name, paths)
            )

    def held(path: str) -> bool:
        return any(path == name or path.startswith(f"{name}.") for name in keep)

    groups = tuple(g for g in can.groups if not any(map(held, g.layers)))
    if not groups:
        reasons = "; ".join(f"'{alone.name}': {alone.reason}" for alone in can.left[:3])
        raise PassError(f"no layer can be pruned: {reasons or 'all are kept'}")
    return groups


def _check_training(module: nn.Module, narrow: nn.Module, feeds: Feeds) -> None:
    """Raise PassError where the pruned network no longer runs in training mode, as the whole one
    does: parts that run only there were not seen by the proof.
    """
    if _training_failure(module, feeds) or not (why := _training_failure(narrow, feeds)):
        return
    raise PassError(
        f"pruned, the network cannot run in training mode: {why}",
        hint="Parts that run only there, such as auxiliary heads, read removed channels: name "
        "the layers that they read under keep.",
    )


def _training_failure(module: nn.Module, feeds: Feeds) -> str:
    """Why a module cannot run in training mode; empty where it can. It stays as it is."""
    copied = copy.deepcopy(module).train()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            copied(**feeds)
    except Exception as error:  # the module's own code may raise anything
        return next(iter(str(error).strip().splitlines()), type(error).__name__)[:160]
    return ""


def _proven(
    module: nn.Module, narrow: nn.Module, groups: Sequence[Group], kept: Kept, feeds: Feeds
) -> Gap:
    """The gap to the masked module. Raises PassError that names the group that is to blame."""
    with whole_attention():
        whole = gap(module, narrow, groups, kept, feeds)
        if whole.agrees:
            return whole
        for group in groups:
            alone = {group.name: kept[group.name]}
            smaller = pruned(module, edits_of(module, [group], alone))
            if not gap(module, smaller, [group], alone, feeds).agrees:
                break
        else:
            group = groups[0]
    raise PassError(
        f"pruned, the network differs from the whole one with zeros in place of what went, by "
        f"{whole.max_abs:.3g} of {whole.largest:.3g}",
        where=", ".join(group.layers),
        hint=f"Name '{group.name}' under keep.",
    )
