"""Reading what layers of a module answer while it runs, and pairing those of two modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from edgeopt.schema.errors import PassError, did_you_mean
from edgeopt.training.calls import called


class Pair(NamedTuple):
    """A layer of the student and one of the teacher that say the same of a sample.

    ``axis`` is the one where they differ; None where they are of one shape. ``channels`` is the
    one of channels either way.
    """

    student: str
    teacher: str
    axis: int | None
    widths: tuple[int, int]
    channels: int = 1


@contextmanager
def tapped(module: Any, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A dict that holds, after a run of ``module``, the tensor that each named layer gave."""
    seen: dict[str, Any] = {}

    def keep(name: str) -> Any:
        def hook(_module: Any, _given: Any, output: Any) -> None:
            seen[name] = output

        return hook

    layers = dict(module.named_modules())
    hooks = [layers[name].register_forward_hook(keep(name)) for name in names]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def pairs_of(
    student: Any, teacher: Any, inputs: Mapping[str, Any], named: Mapping[str, str], axes: int = 2
) -> list[Pair]:
    """The layers that ``named`` pairs; none named: those of equal names, the last of each size.

    ``inputs`` are a few samples, ``axes`` what a layer's tensor has at least. Raises PassError
    for a layer that is not there or whose tensors differ in more than their channels, and where
    no layers are of equal names.
    """
    mine, theirs = (_shapes(module, inputs) for module in (student, teacher))
    for name in named:
        if len(mine.get(name, range(axes))) < axes:
            raise PassError(
                f"'{name}' gives {list(mine[name])}, which has no positions to look at",
                hint="Name layers of convolutions or tokens, or say method: features.",
            )
    channels = _channels(student, mine)

    def with_channels(pair: Pair) -> Pair:
        return pair._replace(channels=pair.axis or channels[pair.student])

    if named:
        return [with_channels(_named_pair(mine, theirs, *pair)) for pair in named.items()]
    last: dict[tuple[int, ...], Pair] = {}
    for name, shape in mine.items():
        pair = _pair(name, name, shape, theirs.get(name, ()))
        if len(shape) > 2 and pair:
            rest = tuple(n for axis, n in enumerate(shape) if axis != (pair.axis or 1))
            last.pop(rest, None)
            last[rest] = pair
    if not last:
        raise PassError(
            "teacher and student have no layers of equal names and sizes",
            hint="Name them: layers: {'STUDENT.LAYER': 'TEACHER.LAYER'}.",
        )
    return [with_channels(pair) for pair in last.values()]


def _channels(module: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The axis of channels of what each layer gives: the last one of tokens, else the second.

    Layers without weights are like the one before.
    """
    layers, axes, tokens = dict(module.named_modules()), {}, False
    for name, shape in shapes.items():
        inside = list(layers[name].modules())
        if any(isinstance(each, _ConvNd | _BatchNorm) for each in inside):
            tokens = False
        elif any(isinstance(each, nn.Linear | nn.LayerNorm | nn.Embedding) for each in inside):
            tokens = True
        axes[name] = len(shape) - 1 if tokens and len(shape) == 3 else 1
    return axes


def _shapes(module: Any, inputs: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors that layers give, in the order in which they end."""
    shapes: dict[str, tuple[int, ...]] = {}
    names = [name for name, _ in module.named_modules() if name]
    mode = module.training
    with tapped(module, names) as seen, torch.no_grad():
        called(module.eval(), inputs)
        for name, output in seen.items():
            if isinstance(output, torch.Tensor):
                shapes[name] = tuple(output.shape)
    module.train(mode)
    return shapes


def _named_pair(
    mine: Mapping[str, tuple[int, ...]], theirs: Mapping[str, tuple[int, ...]], a: str, b: str
) -> Pair:
    for whose, name, shapes in (("student", a, mine), ("teacher", b, theirs)):
        if name not in shapes:
            raise PassError(
                f"the {whose} has no layer '{name}' that gives a tensor",
                hint=did_you_mean(name, shapes),
            )
    pair = _pair(a, b, mine[a], theirs[b])
    if pair is None:
        raise PassError(
            f"'{a}' of the student gives {list(mine[a])}, '{b}' of the teacher "
            f"{list(theirs[b])}: they may differ in their channels only"
        )
    return pair


def _pair(a: str, b: str, mine: tuple[int, ...], theirs: tuple[int, ...]) -> Pair | None:
    """None where shapes differ in more than one axis, or in that of the samples."""
    if len(mine) != len(theirs):
        return None
    unlike = [axis for axis in range(len(mine)) if mine[axis] != theirs[axis]]
    if len(unlike) > 1 or 0 in unlike or len(mine) < 2:
        return None
    axis = unlike[0] if unlike else None
    at = 1 if axis is None else axis
    return Pair(a, b, axis, (mine[at], theirs[at]))
