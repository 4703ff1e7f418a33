"""A network rebuilt layer by layer: ``network.json`` beside this file says of what.

It needs torch alone, and Python 3.8 or later.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn


class Affine(nn.Module):
    """``x * weight + bias``, constants of the network that are not trained."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, shape: list[int]) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(shape))
        self.register_buffer("bias", torch.zeros(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight + self.bias


class Sequences(nn.Module):
    """A recurrent layer that gives its steps alone: all of them, or the last.

    Of two directions, the last step of each is where it ends: at the end, and at the start.
    """

    def __init__(self, kind: str, last: bool, **given: Any) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(batch_first=True, **given)
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps: torch.Tensor = self.layer(x)[0]
        if not self.last:
            return steps
        if not self.layer.bidirectional:
            return steps[:, -1]
        n = int(self.layer.hidden_size)
        return torch.cat([steps[:, -1, :n], steps[:, 0, n:]], -1)


class Constant(nn.Module):
    """A constant of the network that is not trained."""

    value: torch.Tensor

    def __init__(self, shape: list[int], dtype: str) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(shape, dtype=getattr(torch, dtype)))

    def forward(self) -> torch.Tensor:
        return self.value


class Steps(nn.Module):
    """A recurrent layer of (steps, batch, features): all steps (steps, directions, batch, units),
    the last state of each direction (directions, batch, units), and an LSTM's last cells."""

    def __init__(self, kind: str, **given: Any) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(**given)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        steps, last = self.layer(x)
        apart = steps.reshape(steps.shape[0], steps.shape[1], -1, self.layer.hidden_size)
        states = last if isinstance(last, tuple) else (last,)
        return (apart.permute(0, 2, 1, 3), *states)


def reshape(x: torch.Tensor, shape: list[int]) -> torch.Tensor:
    """To a shape without the batch, which stays."""
    return x.reshape([x.shape[0], *shape])


def reshaped(x: torch.Tensor, shape: list[int]) -> torch.Tensor:
    """To a shape, of which -1 stands for what is left."""
    return x.reshape(shape)


def sliced(x: torch.Tensor, axis: int, start: int, end: int, step: int) -> torch.Tensor:
    return x[(slice(None),) * axis + (slice(start, end, step),)]


def picked(x: torch.Tensor, dim: int, index: int) -> torch.Tensor:
    return x.select(dim, index)


def chosen(x: torch.Tensor, dim: int, places: list[int]) -> torch.Tensor:
    return x.index_select(dim, torch.tensor(places, device=x.device))


def clamped(x: torch.Tensor, min: float | None, max: float | None) -> torch.Tensor:
    return x.clamp(min, max)


def grown(x: torch.Tensor, pad: list[int], value: float) -> torch.Tensor:
    return nn.functional.pad(x, pad, value=value)


def expanded(x: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    return x.expand(sizes)


def tiled(x: torch.Tensor, repeats: list[int]) -> torch.Tensor:
    return x.repeat(repeats)


def item(xs: tuple[torch.Tensor, ...], index: int) -> torch.Tensor:
    return xs[index]


def scaled(x: torch.Tensor, scale: float, offset: float) -> torch.Tensor:
    return x * scale + offset


def cast(x: torch.Tensor, dtype: str) -> torch.Tensor:
    return x.to(getattr(torch, dtype))


def joined(*xs: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.cat(xs, axis)


def mean_of(*xs: torch.Tensor) -> torch.Tensor:
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total / len(xs)


def total_of(*xs: torch.Tensor) -> torch.Tensor:
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


def product_of(*xs: torch.Tensor) -> torch.Tensor:
    total = xs[0]
    for x in xs[1:]:
        total = total * x
    return total


def greatest_of(*xs: torch.Tensor) -> torch.Tensor:
    most = xs[0]
    for x in xs[1:]:
        most = torch.maximum(most, x)
    return most


def least_of(*xs: torch.Tensor) -> torch.Tensor:
    least = xs[0]
    for x in xs[1:]:
        least = torch.minimum(least, x)
    return least


LAYERS = {  # others are of torch.nn
    "Affine": Affine,
    "Constant": Constant,
    "Sequences": Sequences,
    "Steps": Steps,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "permute": torch.permute,
    "reshape": reshape,
    "flatten": torch.flatten,
    "scaled": scaled,
    "cast": cast,
    "joined": joined,
    "mean": torch.mean,
    "amax": torch.amax,
    "add": total_of,
    "mul": product_of,
    "sub": torch.sub,
    "div": torch.div,
    "average": mean_of,
    "maximum": greatest_of,
    "minimum": least_of,
    "exp": torch.exp,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "log": torch.log,
    "neg": torch.neg,
    "erf": torch.erf,
    "sin": torch.sin,
    "cos": torch.cos,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "sign": torch.sign,
    "not": torch.logical_not,
    "reciprocal": torch.reciprocal,
    "pow": torch.pow,
    "sum": torch.sum,
    "amin": torch.amin,
    "matmul": torch.matmul,
    "where": torch.where,
    "equal": torch.eq,
    "less": torch.lt,
    "greater": torch.gt,
    "less_equal": torch.le,
    "greater_equal": torch.ge,
    "and": torch.logical_and,
    "or": torch.logical_or,
    "reshaped": reshaped,
    "sliced": sliced,
    "picked": picked,
    "chosen": chosen,
    "clamped": clamped,
    "grown": grown,
    "expanded": expanded,
    "tiled": tiled,
    "item": item,
}


def build(plan: dict[str, Any]) -> fx.GraphModule:
    """The module of a plan, its weights as they are made."""
    root, graph, values = nn.Module(), fx.Graph(), {}
    for name in plan["inputs"]:
        values[name] = graph.placeholder(name)
    for node in plan["nodes"]:
        taken = tuple(values[name] for name in node["from"])
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in node["with"].items()}
        if node["op"] == "layer":
            if not hasattr(root, node["layer"]):
                kind = LAYERS.get(node["kind"]) or getattr(nn, node["kind"])
                root.add_module(node["layer"], kind(**given))
            values[node["name"]] = graph.call_module(node["layer"], taken)
        else:
            values[node["name"]] = graph.call_function(FUNCTIONS[node["kind"]], taken, given)
    graph.output({name: values[value] for name, value in plan["outputs"].items()})
    return fx.GraphModule(root, graph, "Network")


def network() -> fx.GraphModule:
    """The network that ``network.json`` describes, without its weights."""
    place = os.path.join(os.path.dirname(os.path.abspath(__file__)), "network.json")
    with open(place, encoding="utf-8") as file:
        return build(json.load(file)).eval()
