"""Shortcuts by strided Slice and Pad as 1x1 convolutions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeopt.formats.onnx import portable
from edgeopt.passes.slice_to_conv_onnx import SliceToConv
from edgeopt.quantization.forms_onnx import unused, value_names
from edgeopt.step import PassContext

FAR = 2**31 - 1  # an end of a Slice from here on is that of the axis
SPATIAL = (2, 3)
Held = Mapping[str, np.ndarray[Any, Any]]


def run(step: SliceToConv, model: Any, ctx: PassContext) -> Any:
    """Rewrite what can be rewritten; a note where nothing can."""
    before = onnx.ModelProto()
    before.CopyFrom(model)
    portable.modern(model)
    if not rewrite(model):
        ctx.found["notes"] = [
            f"{step.name}: no strided Slice over height and width with a Pad of channels is there"
        ]
    return portable.finished(model, before)


@dataclass
class _Chain:
    """Slices and Pads in a row, and what they come to: (n, c, h, w) -> (n, before + c + after,
    ceil(h / steps[0]), ceil(w / steps[1]))."""

    nodes: list[NodeProto] = field(default_factory=list)
    steps: list[int] = field(default_factory=lambda: [1, 1])
    before: int = 0
    after: int = 0

    def takes(self, node: NodeProto, shape: Sequence[int | None], held: Held) -> bool:
        """Whether it was the next of them, and is one of them now."""
        ends = {2: shape[2], 3: shape[3]}
        if node.op_type == "Slice":
            found = _strides(node, ends, held)
            if found is None:
                return False
            self.steps = [a * b for a, b in zip(self.steps, found, strict=True)]
        elif node.op_type == "Pad":
            pads = _channel_pads(node, held)
            if pads is None:
                return False
            self.before, self.after = self.before + pads[0], self.after + pads[1]
        else:
            return False
        self.nodes.append(node)
        return True

    @property
    def counts(self) -> bool:
        """Whether it both strides and pads."""
        return max(self.steps) > 1 and self.before + self.after > 0


def rewrite(model: ModelProto) -> int:
    """Put a Conv in place of each such row whose values in between nothing else reads.

    Returns how many there were.
    """
    graph = model.graph
    shapes = _shapes(model)
    held = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    read = Counter(name for node in graph.node for name in node.input)
    read.update(value.name for value in graph.output)
    known = value_names(model)
    readers = {name: node for node in graph.node for name in node.input}
    done: set[str] = set()
    count = 0
    for first in list(graph.node):
        shape = shapes.get(first.input[0] if first.input else "")
        if first.output[0] in done or shape is None or len(shape) != 4 or shape[1] is None:
            continue
        chain, node = _Chain(), first
        while chain.takes(node, shapes.get(node.input[0]) or [None] * 4, held):
            after = readers.get(node.output[0])
            if after is None or read[node.output[0]] != 1:
                break
            node = after
        if not chain.counts:
            continue
        count += 1
        done.update(out for each in chain.nodes for out in each.output)
        _replace(model, chain, shape[1], known)
    if count:
        portable.drop_unused(model)
    return count


def _replace(model: ModelProto, chain: _Chain, channels: int, known: set[str]) -> None:
    graph = model.graph
    weight = np.zeros((chain.before + channels + chain.after, channels, 1, 1), np.float32)
    weight[chain.before + np.arange(channels), np.arange(channels)] = 1.0
    source, result = chain.nodes[0].input[0], chain.nodes[-1].output[0]
    name = unused(f"{result}_shortcut", known)
    graph.initializer.append(numpy_helper.from_array(weight, name))
    conv = helper.make_node(
        "Conv", [source, name], [result], name=chain.nodes[-1].name, strides=chain.steps,
        kernel_shape=[1, 1],
    )  # fmt: skip
    places = [i for i, node in enumerate(graph.node) if node in chain.nodes]
    for place in reversed(places):
        del graph.node[place]
    graph.node.insert(places[0], conv)


def _shapes(model: ModelProto) -> dict[str, list[int | None]]:
    """Of float32 tensors; a free dimension is None."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    found = {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        kind = value.type.tensor_type
        if kind.elem_type == TensorProto.FLOAT and kind.HasField("shape"):
            found[value.name] = [
                d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim
            ]
    return found


def _input(node: NodeProto, place: int, named: str, held: Held) -> list[int] | None:
    """Whole numbers of an input, or in old opsets of the attribute; None where they are not known
    or not given."""
    if place < len(node.input) and node.input[place]:
        array = held.get(node.input[place])
        return None if array is None else [int(v) for v in array.reshape(-1)]
    given = next((a for a in node.attribute if a.name == named), None)
    return None if given is None else list(given.ints)


def _strides(node: NodeProto, ends: Mapping[int, int | None], held: Held) -> tuple[int, int] | None:
    """Steps over height and width of a Slice from the first to the last; None for another."""
    starts, stops = _input(node, 1, "starts", held), _input(node, 2, "ends", held)
    if starts is None or stops is None:
        return None
    axes = _input(node, 3, "axes", held) or list(range(len(starts)))
    steps = _input(node, 4, "steps", held) or [1] * len(starts)
    if any(len(node.input) > place and node.input[place] and node.input[place] not in held
           for place in (3, 4)):  # fmt: skip
        return None
    found = {2: 1, 3: 1}
    for start, stop, axis, by in zip(starts, stops, axes, steps, strict=True):
        size = ends.get(axis % 4)
        whole = stop >= FAR or (size is not None and stop >= size)
        if axis % 4 not in SPATIAL or start != 0 or by < 1 or not whole:
            return None
        found[axis % 4] = by
    return found[2], found[3]


def _channel_pads(node: NodeProto, held: Held) -> tuple[int, int] | None:
    """Zeros before and after the channels of a Pad that pads nothing else; None for another."""
    mode = next((a.s for a in node.attribute if a.name == "mode"), b"constant")
    pads = _input(node, 1, "pads", held)
    if mode != b"constant" or pads is None:
        return None
    value = next((a.f for a in node.attribute if a.name == "value"), 0.0)
    if len(node.input) > 2 and node.input[2]:
        array = held.get(node.input[2])
        value = float("nan") if array is None else float(array.reshape(-1)[0])
    axes = _input(node, 3, "axes", held)
    if value != 0.0 or (axes is None and len(node.input) > 3 and node.input[3]):
        return None
    axes = [axis % 4 for axis in axes] if axes else list(range(len(pads) // 2))
    half = len(axes)
    both = {axis: (pads[i], pads[half + i]) for i, axis in enumerate(axes)}
    channels = both.pop(1, (0, 0))
    if any(pair != (0, 0) for pair in both.values()) or min(channels) < 0:
        return None
    return channels
