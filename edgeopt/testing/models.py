"""A small real network, in each built-in format, with samples and the answers it must give.

Its arithmetic is written in numpy, too: what a format or a runtime answers is held against that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.schema.errors import UsageError

INPUT, HIDDEN = 16, 32
OUTPUTS = {"scores": 4, "margin": 1}  # in no alphabetical order: names alone must not decide
SAMPLES = 96
SPLITS = ("calibration", "train", "validation")  # each has a third of the samples
LABELS = "label"

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Model:
    """A model as a user gives it, and what is known of it.

    ``spec`` is what ``Format.gather`` takes and ``root`` the folder that it speaks of; ``file`` is
    the file of the two that holds the weights. ``samples`` are (n, ...) by input, ``labels`` (n,)
    or None. ``expected`` are the answers to all samples, (n, ...) by output in the model's order,
    where they are known by other means than the format's own run.
    """

    format: str
    root: Path
    spec: Mapping[str, Any]
    file: Path
    samples: Arrays
    labels: Array | None = None
    expected: Arrays = field(default_factory=dict)

    @property
    def said(self) -> dict[str, dict[str, Any]]:
        """What ``Format.gather`` is told of the samples."""
        return {
            name: {"shape": list(array.shape[1:]), "dtype": str(array.dtype), "layout": ""}
            for name, array in self.samples.items()
        }

    @property
    def n(self) -> int:
        """Count of samples."""
        return min(map(len, self.samples.values()))

    def rows(self, split: str) -> slice:
        """Which samples a split has."""
        third = self.n // len(SPLITS)
        start = SPLITS.index(split) * third
        return slice(start, start + third)


def small_model(format: str, root: Path) -> Model:
    """The network as files of a built-in format below ``root``, which is made.

    Raises UsageError for a format that has none: a plug-in's test brings its own Model.
    """
    if format not in WRITERS:
        raise UsageError(
            f"there is no small network in the format '{format}'",
            hint="give a fixture 'model' that makes one: an edgeopt.testing.models.Model",
        )
    root.mkdir(parents=True)
    spec, file = WRITERS[format](root)
    samples = {"x": np.random.default_rng(1).standard_normal((SAMPLES, INPUT)).astype(np.float32)}
    expected = answers(samples["x"])
    labels = expected["scores"].argmax(axis=1)
    if format == "savedmodel":  # whose outputs have names and no order
        expected = dict(sorted(expected.items()))
    return Model(format, root, spec, root / file, samples, labels, expected)


@cache
def weights() -> dict[str, Array]:
    """Weights, (out, in), and biases by layer."""
    rng = np.random.default_rng(0)
    layers = {"first": (HIDDEN, INPUT), "second": (HIDDEN, HIDDEN)}
    layers |= {name: (size, HIDDEN) for name, size in OUTPUTS.items()}
    found = {}
    for name, (rows, columns) in layers.items():
        found[f"{name}.weight"] = rng.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)
        found[f"{name}.bias"] = rng.normal(0, 0.1, rows).astype(np.float32)
    return found


def answers(x: Array) -> dict[str, Array]:
    """The network's outputs for (n, 16) samples, in float64 arithmetic."""
    held = {name: values.astype(np.float64) for name, values in weights().items()}

    def layer(name: str, values: Array) -> Array:
        made: Array = values @ held[f"{name}.weight"].T + held[f"{name}.bias"]
        return made

    hidden = np.maximum(layer("second", np.maximum(layer("first", x), 0)), 0)
    return {name: layer(name, hidden).astype(np.float32) for name in OUTPUTS}


NET = f'''"""The small network of edgeopt.testing."""

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear({INPUT}, {HIDDEN})
        self.second = nn.Linear({HIDDEN}, {HIDDEN})
        self.scores = nn.Linear({HIDDEN}, {OUTPUTS["scores"]})
        self.margin = nn.Linear({HIDDEN}, {OUTPUTS["margin"]})

    def forward(self, x):
        y = self.second(self.first(x).relu()).relu()
        return {{"scores": self.scores(y), "margin": self.margin(y)}}
'''


def _torch(root: Path) -> tuple[dict[str, Any], str]:
    from safetensors.numpy import save_file

    (root / "net.py").write_text(NET)
    save_file(dict(weights()), root / "net.safetensors")
    return {"factory": "net.py:Net", "weights": "net.safetensors"}, "net.safetensors"


def _onnx(root: Path) -> tuple[dict[str, Any], str]:
    from onnx import TensorProto, helper, numpy_helper

    def layer(name: str, taken: str, given: str) -> Any:
        held = [f"{name}.weight", f"{name}.bias"]
        return helper.make_node("Gemm", [taken, *held], [given], transB=1)

    nodes = [
        layer("first", "x", "a"),
        helper.make_node("Relu", ["a"], ["b"]),
        layer("second", "b", "c"),
        helper.make_node("Relu", ["c"], ["d"]),
        *(layer(name, "d", name) for name in OUTPUTS),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "small",
        [info("x", TensorProto.FLOAT, ["batch", INPUT])],
        [info(name, TensorProto.FLOAT, ["batch", size]) for name, size in OUTPUTS.items()],
        [numpy_helper.from_array(values, name) for name, values in weights().items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (root / "net.onnx").write_bytes(model.SerializeToString(deterministic=True))
    return {"path": "net.onnx"}, "net.onnx"


def _tflite(root: Path) -> tuple[dict[str, Any], str]:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    graph = _Graph(schema)
    x = graph.tensor("x", (1, INPUT))
    relu = schema.ActivationFunctionType.RELU
    hidden = graph.layer("second", graph.layer("first", x, relu), relu)
    ends = [graph.layer(name, hidden) for name in OUTPUTS]
    builder = flatbuffers.Builder(1 << 14)
    builder.Finish(graph.model(x, ends).Pack(builder), b"TFL3")
    (root / "net.tflite").write_bytes(bytes(builder.Output()))
    return {"path": "net.tflite"}, "net.tflite"


class _Graph:
    """A TFLite graph of fully connected layers, one sample at a time."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._graph = schema.SubGraphT()
        self._graph.name, self._graph.tensors, self._graph.operators = b"main", [], []
        self._buffers = [schema.BufferT()]

    def tensor(self, name: str, shape: tuple[int, ...], values: Array | None = None) -> int:
        """The index of a new tensor, with its values where it is a constant."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), list(shape), 0
        tensor.type = self._schema.TensorType.FLOAT32
        if values is not None:
            buffer = self._schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self._buffers.append(buffer)
            tensor.buffer = len(self._buffers) - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def layer(self, name: str, data: int, activation: int = 0) -> int:
        """The index of what a layer gives."""
        held = [weights()[f"{name}.{part}"] for part in ("weight", "bias")]
        operator = self._schema.OperatorT()
        operator.opcodeIndex, operator.builtinOptionsType = (
            0,
            self._schema.BuiltinOptions.FullyConnectedOptions,
        )
        operator.builtinOptions = self._schema.FullyConnectedOptionsT()
        operator.builtinOptions.fusedActivationFunction = activation
        parts = zip(("weight", "bias"), held, strict=True)
        operator.inputs = [data, *(self.tensor(f"{name}.{p}", v.shape, v) for p, v in parts)]
        operator.outputs = [self.tensor(f"{name}/out", (1, len(held[0])))]
        self._graph.operators.append(operator)
        return int(operator.outputs[0])

    def model(self, x: int, ends: list[int]) -> Any:
        """The whole model, with one signature."""
        schema = self._schema
        code, model, signature = schema.OperatorCodeT(), schema.ModelT(), schema.SignatureDefT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
        code.version = 1
        self._graph.inputs, self._graph.outputs = [x], ends
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs = [self._named("x", x)]
        signature.outputs = [self._named(*end) for end in zip(OUTPUTS, ends, strict=True)]
        model.version, model.description = 3, b"small"
        model.operatorCodes, model.buffers = [code], self._buffers
        model.subgraphs, model.signatureDefs = [self._graph], [signature]
        return model

    def _named(self, name: str, index: int) -> Any:
        made = self._schema.TensorMapT()
        made.name, made.tensorIndex = name.encode(), index
        return made


def _tensorflow() -> Any:
    from edgeopt.agent import tf_network

    return tf_network


def _keras(root: Path) -> tuple[dict[str, Any], str]:
    keras = _tensorflow().keras
    layers = keras.layers
    x = layers.Input((INPUT,), name="x")
    first, second = (layers.Dense(HIDDEN, activation="relu", name=n) for n in ("first", "second"))
    hidden = second(first(x))
    ends = [layers.Dense(size, name=name)(hidden) for name, size in OUTPUTS.items()]
    model = keras.Model(x, ends)
    for name in ("first", "second", *OUTPUTS):
        held = weights()[f"{name}.weight"].T, weights()[f"{name}.bias"]
        model.get_layer(name).set_weights(held)
    model.save(root / "net.keras")
    return {"path": "net.keras"}, "net.keras"


def _savedmodel(root: Path) -> tuple[dict[str, Any], str]:
    tf = _tensorflow().tf
    module = tf.Module()
    module.held = {name: tf.Variable(values) for name, values in weights().items()}

    def layer(name: str, x: Any) -> Any:
        return x @ tf.transpose(module.held[f"{name}.weight"]) + module.held[f"{name}.bias"]

    def call(x: Any) -> dict[str, Any]:
        hidden = tf.nn.relu(layer("second", tf.nn.relu(layer("first", x))))
        return {name: layer(name, hidden) for name in OUTPUTS}

    taken = tf.TensorSpec([None, INPUT], tf.float32, name="x")
    module.call = tf.function(call, input_signature=[taken])
    tf.saved_model.save(module, str(root / "net"), signatures={"serving_default": module.call})
    return {"path": "net"}, "net/variables/variables.data-00000-of-00001"


WRITERS = {
    "torch": _torch,
    "onnx": _onnx,
    "tflite": _tflite,
    "keras": _keras,
    "savedmodel": _savedmodel,
}
