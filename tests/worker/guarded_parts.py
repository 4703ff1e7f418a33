"""A small image classifier with two outputs, and ways to spoil its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

SIDE, CHANNELS, CLASSES = 6, 3, 5


def classifier(fixed: int | None = None) -> ModelProto:
    """``logits`` and ``scores``, (batch, 5) each, of ``image`` (batch, 3, 6, 6)."""
    rng = np.random.default_rng(0)
    batch = fixed or "batch"
    weights = {
        "w": rng.standard_normal((CHANNELS * SIDE * SIDE, CLASSES)),
        "v": rng.standard_normal((CHANNELS * SIDE * SIDE, CLASSES)),
        "b": rng.standard_normal(CLASSES),
    }
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "w", "b"], ["first"]),
        helper.make_node("MatMul", ["flat", "v"], ["second"]),
        helper.make_node("Identity", ["first"], ["logits"]),
        helper.make_node("Identity", ["second"], ["scores"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "classifier",
        [value("image", TensorProto.FLOAT, [batch, CHANNELS, SIDE, SIDE])],
        [value(name, TensorProto.FLOAT, [batch, CLASSES]) for name in ("logits", "scores")],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _constant(model: ModelProto, name: str, values: Any) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return name


def _before_output(model: ModelProto, output: int, op: str, *more: str, **attributes: Any) -> None:
    """Put a node between an output and what it was made of."""
    node = next(n for n in model.graph.node if n.output[0] == model.graph.output[output].name)
    place = list(model.graph.node).index(node)
    made = helper.make_node(op, [node.input[0], *more], [f"spoilt_{output}"], **attributes)
    node.input[0] = f"spoilt_{output}"
    model.graph.node.insert(place, made)


def _before_input(model: ModelProto, *nodes: Any) -> None:
    """Feed the network with what nodes make of ``image``; the last one gives ``turned``."""
    model.graph.node[0].input[0] = "turned"
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


def still(model: ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == "w":
            zeros = np.zeros((CHANNELS * SIDE * SIDE, CLASSES), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(zeros, "w"))


def random(model: ModelProto) -> None:
    noise = helper.make_node("RandomNormalLike", ["first"], ["noise"], scale=0.1)
    model.graph.node.insert(2, noise)
    _before_output(model, 0, "Add", "noise")


def entangled(model: ModelProto) -> None:
    mean = helper.make_node("ReduceMean", ["second"], ["mean"], axes=[0], keepdims=1)
    model.graph.node.insert(3, mean)
    _before_output(model, 1, "Sub", "mean")


def swapped_outputs(model: ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Identity":
            node.input[0] = {"first": "second", "second": "first"}[node.input[0]]


def turned_classes(model: ModelProto) -> None:
    order = _constant(model, "order", np.arange(CLASSES)[::-1].astype(np.int64))
    _before_output(model, 0, "Gather", order, axis=1)


def turned_image(model: ModelProto) -> None:
    _before_input(model, helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 1, 3, 2]))


def reversed_channels(model: ModelProto) -> None:
    order = _constant(model, "bgr", np.array([2, 1, 0], np.int64))
    _before_input(model, helper.make_node("Gather", ["image", order], ["turned"], axis=1))


def misread_layout(model: ModelProto) -> None:
    shape = _constant(model, "nhwc", np.array([-1, SIDE, SIDE, CHANNELS], np.int64))
    _before_input(
        model,
        helper.make_node("Reshape", ["image", shape], ["read"]),
        helper.make_node("Transpose", ["read"], ["turned"], perm=[0, 3, 1, 2]),
    )


SPOILERS: dict[str, tuple[Callable[[ModelProto], None], str]] = {
    "still": (still, "gives the same output 'logits' for all 16 samples"),
    "random": (random, "answers differently from run to run: output 'logits'"),
    "entangled": (entangled, "answers differently in a batch of 16 and alone: output 'scores'"),
    "swapped-outputs": (swapped_outputs, "'scores' gives what 'logits' gave"),
    "turned-classes": (turned_classes, "entries of output 'logits' in another order"),
    "turned-image": (turned_image, "input 'image' with height and width swapped"),
    "reversed-channels": (reversed_channels, "input 'image' with its channels reversed"),
    "misread-layout": (misread_layout, "channels-last, while it is fed channels-first"),
}
