"""What a unit is worth: scores by which units stay, higher ones first.

``group_l2``
    L2 norm of all that goes with the unit, batch norms' scales too, as DepGraph has it (Fang et
    al., arXiv:2301.12900): a tensor of large values counts for more.
``l1``, ``l2``
    Norm of the weights that make and read the unit (Li et al., arXiv:1608.08710), each tensor
    against its mean over units, then their mean.
``bn_scale``
    Magnitude of the batch norm's scale (Liu et al., arXiv:1708.06519).
``taylor``
    Square of the loss's first-order change when the unit goes, mean over batches (Molchanov et
    al., arXiv:1906.10771). Without labels the loss is the outputs' own half square sum.
``fpgm``
    Distance of the weights that make the unit from all others of its group: units near the
    geometric median can be replaced by them (He et al., arXiv:1811.00250).
``random``
    The control that the others must beat.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgeopt.formats.torch.module import named_outputs
from edgeopt.pruning.groups import Group, Slice
from edgeopt.schema.errors import PassError
from edgeopt.training.losses import label_loss

Kind = Literal["group_l2", "l1", "l2", "bn_scale", "taylor", "fpgm", "random"]
Batch = tuple[Mapping[str, torch.Tensor], Mapping[int, torch.Tensor]]  # inputs; labels by output
Scores = dict[str, torch.Tensor]  # group -> (units,), their mean is 1
WEIGHTS = ("out", "in")


def scores(
    module: nn.Module,
    groups: Iterable[Group],
    kind: Kind,
    batches: Iterable[Batch] = (),
    seed: int = 0,
) -> Scores:
    """(units,) of each group. Only ``taylor`` looks at batches, and only ``random`` at the seed.

    Raises PassError where a group has nothing that the kind could look at.
    """
    groups = list(groups)
    if kind == "taylor":
        raw_scores = _taylor(module, groups, batches)
    elif kind == "random":
        raw_scores = {g.name: _random(g, seed) for g in groups}
    else:
        one: Callable[[nn.Module, Group], torch.Tensor] = {
            "group_l2": _group_norm,
            "l1": lambda m, g: _norm(m, g, 1),
            "l2": lambda m, g: _norm(m, g, 2),
            "bn_scale": _bn_scale,
            "fpgm": _fpgm,
        }[kind]
        with torch.no_grad():
            raw_scores = {g.name: one(module, g) for g in groups}
    return {name: _normalized(values.double()) for name, values in raw_scores.items()}


def _norm(module: nn.Module, group: Group, power: int) -> torch.Tensor:
    parts = []
    for each in group.slices:
        if each.role in WEIGHTS:
            parts.append(_normalized(_by_unit(each, _tensor(module, each).abs() ** power)))
    return torch.stack(parts).mean(0)


def _group_norm(module: nn.Module, group: Group) -> torch.Tensor:
    parts = [
        _by_unit(each, _tensor(module, each).square())
        for each in group.slices
        if each.role in (*WEIGHTS, "scale")
    ]
    return torch.stack(parts).mean(0)


def _bn_scale(module: nn.Module, group: Group) -> torch.Tensor:
    there = dict(module.named_modules())
    parts = [
        _normalized(_by_unit(each, _tensor(module, each).abs()))
        for each in group.slices
        if each.role == "scale" and isinstance(there[each.path], _BatchNorm)
    ]
    if not parts:
        raise PassError(
            f"bn_scale has nothing to look at: no batch norm follows '{group.name}'",
            hint="Take another importance, or keep that layer.",
        )
    return torch.stack(parts).mean(0)


def _fpgm(module: nn.Module, group: Group) -> torch.Tensor:
    total = torch.zeros(group.units, dtype=torch.float64)
    for each in group.slices:
        if each.role == "out":
            values = _tensor(module, each).movedim(each.axis, 0).flatten(1).double()
            filters = torch.stack([values[list(rows)].flatten() for rows in _even(each)])
            total += _normalized(torch.cdist(filters, filters).sum(1))
    return total


def _random(group: Group, seed: int) -> torch.Tensor:
    digest = zlib.crc32(f"{seed} {group.name}".encode())  # torch looks at 32 bits of a seed
    generator = torch.Generator().manual_seed(digest)
    return torch.rand(group.units, generator=generator)


def _taylor(module: nn.Module, groups: list[Group], batches: Iterable[Batch]) -> Scores:
    sums = {g.name: torch.zeros(g.units, dtype=torch.float64) for g in groups}
    parameters = [p for p in module.parameters() if p.is_floating_point()]
    count = 0
    for feeds, labels in batches:
        with torch.enable_grad(), _thawed(parameters):
            loss = _loss(module, feeds, labels)
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        by_id = {id(p): g for p, g in zip(parameters, gradients, strict=True) if g is not None}
        for group in groups:
            change = torch.zeros(group.units, dtype=torch.float64)
            for each in group.slices:
                values = _tensor(module, each)
                if each.role in ("out", "scale", "shift") and id(values) in by_id:
                    change += _by_unit(each, (values * by_id[id(values)]).detach()).double()
            sums[group.name] += change**2
        count += 1
    if not count:
        raise PassError("taylor needs samples to take gradients on")
    return {name: values / count for name, values in sums.items()}


@contextmanager
def _thawed(parameters: Iterable[torch.Tensor]) -> Iterator[None]:
    """Frozen parameters have gradients meanwhile."""
    frozen = [p.requires_grad_() for p in parameters if not p.requires_grad]
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _loss(
    module: nn.Module, feeds: Mapping[str, torch.Tensor], labels: Mapping[int, torch.Tensor]
) -> torch.Tensor:
    """The loss on labels, else half the outputs' square sum. Raises PassError as the former."""
    by_name = named_outputs(module(**feeds), type(module).__name__)
    if not labels:
        floats = [o for o in by_name.values() if o.is_floating_point()]
        return torch.stack([0.5 * o.square().sum() / len(o) for o in floats]).sum()
    outputs = list(by_name.values())
    gaps: list[torch.Tensor] = [
        label_loss(outputs[at], known if known.is_floating_point() else known.long())
        for at, known in labels.items()
    ]
    return torch.stack(gaps).mean()


def _by_unit(each: Slice, values: torch.Tensor) -> torch.Tensor:
    """(units,): what the rows of each unit add up to."""
    flat = values.movedim(each.axis, 0).flatten(1).sum(1) if values.dim() > 1 else values
    return torch.stack([flat[list(rows)].sum() for rows in each.rows])


def _even(each: Slice) -> tuple[tuple[int, ...], ...]:
    """Rows by unit; a unit that has fewer of this tensor repeats its last."""
    most = max(len(rows) for rows in each.rows)
    return tuple(rows + rows[-1:] * (most - len(rows)) for rows in each.rows)


def _tensor(module: nn.Module, each: Slice) -> torch.Tensor:
    tensor = getattr(module.get_submodule(each.path), each.tensor)
    assert isinstance(tensor, torch.Tensor)
    return tensor


def _normalized(values: torch.Tensor) -> torch.Tensor:
    mean = values.mean()
    return values / mean if mean > 0 else values
