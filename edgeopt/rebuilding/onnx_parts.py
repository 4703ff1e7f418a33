"""What readers of ONNX nodes share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from edgeopt.rebuilding.onnx_graph import Array, Graph, Node
from edgeopt.rebuilding.plan import Size, Value

Rebuild = Callable[[Graph, Node], list[Value]]


def shape_of(graph: Graph, node: Node, place: int = 0) -> tuple[Size, ...]:
    """The shape of an output, as a run shows it."""
    return graph.shapes[node.outputs[place]]


def resized(graph: Graph, node: Node, x: Value, shape: Sequence[Size]) -> Value:
    """The same values in another shape. Raises PassError where it has more than one free size."""
    free = [axis for axis, n in enumerate(shape) if n is None]
    if len(free) > 1:
        raise node.refused(f"several sizes of {list(shape)} are free")
    inner = [n for n in x.shape[1:] if n is not None]
    flat = len(shape) == 2 and len(inner) == x.rank - 1 > 0 and prod(inner) == shape[1]
    if flat and x.shape[0] is None and shape[0] is None:  # the axis that pruning follows
        return graph.plan.function("flatten", [x], shape, {"start_dim": 1})
    sizes = [-1 if n is None else n for n in shape]
    return graph.plan.function("reshaped", [x], shape, {"shape": sizes})


def sides(node: Node, x: Value, kernel: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) of each spatial axis, by ``auto_pad`` where it says so."""
    rank = len(kernel)
    pads = node.given.get("pads") or [0] * (2 * rank)
    auto = node.given.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        told = [0] * (2 * rank) if auto == "VALID" else pads
        return [(told[axis], told[axis + rank]) for axis in range(rank)]
    strides = node.given.get("strides") or [1] * rank
    dilations = node.given.get("dilations") or [1] * rank
    found = []
    for n, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        if n is None:
            raise node.refused(f"auto_pad {auto} over a free size")
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        less = total // 2
        found.append((less, total - less) if auto == "SAME_UPPER" else (total - less, less))
    return found


def padded(
    graph: Graph, node: Node, x: Value, pads: Sequence[tuple[int, int]], value: float
) -> Value:
    """Spatial axes grown by a constant."""
    grown = [n if n is None else n + sum(p) for n, p in zip(x.shape[2:], pads, strict=True)]
    flat = [n for pair in reversed(pads) for n in pair]
    given = {"padding": flat, "value": value}
    return graph.plan.layer(
        f"{node.name}__pad", f"ConstantPad{len(pads)}d", x, (*x.shape[:2], *grown), given
    )


def affine(graph: Graph, node: Node, x: Value, scale: Array, offset: Array) -> Value:
    """``x * scale + offset`` with constants of any shape that broadcasts."""
    scale, offset = np.broadcast_arrays(np.float32(scale), np.float32(offset))
    held = {"weight": scale, "bias": offset}
    return graph.plan.layer(
        node.name, "Affine", x, shape_of(graph, node), {"shape": list(scale.shape)}, held
    )


def number(array: Array) -> Any:
    """A constant of one element as a Python number."""
    return array.reshape(-1)[0].item()
