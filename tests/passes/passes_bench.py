"""What the tests of passes share: a context to run them in, and small networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from edgeopt.formats import format_named
from edgeopt.schema.artifact import Description
from edgeopt.step import Pass

MODEL = Path(__file__).parents[2] / "models" / "fashion_mnist" / "source.onnx"
Arrays = Mapping[str, np.ndarray]


@dataclass
class Context:
    """What a worker would give."""

    workdir: Path
    description: Description
    arrays: Arrays
    seed: int = 0
    threads: int = 1
    told: list[float] = field(default_factory=list)
    parent: Path = Path()
    classes: np.ndarray | None = None
    found: dict[str, Any] = field(default_factory=dict)

    def labels(self, split: str) -> np.ndarray | None:
        assert split == "calibration"
        return self.classes

    def labelled(self, split: str) -> dict[str, np.ndarray]:
        own = self.labels(split)
        return {} if own is None else {self.description.signature.outputs[0].name: own}

    @property
    def axes(self) -> dict[str, int | None]:
        return {}

    def data(self, split: str) -> Arrays:
        assert split == "calibration"
        return self.arrays

    def progress(self, done: float, total: float | None = None, **figures: float) -> None:
        self.told.append(done)


@dataclass(frozen=True)
class Made:
    """A pass's result, written, described and ready to run."""

    path: Path
    model: onnx.ModelProto
    description: Description
    found: Mapping[str, Any] = field(default_factory=dict)

    def run(self, feeds: Arrays) -> list[np.ndarray]:
        session = ort.InferenceSession(self.path, providers=["CPUExecutionProvider"])
        return session.run(None, dict(feeds))


RunPass = Callable[..., Made]


def network(
    *,
    opset: int = 18,
    ir: int = 8,
    batch: Any = "batch",
    constants: bool = False,
    inputs_too: bool = False,
    groups: int = 1,
    channels: int = 8,
) -> onnx.ModelProto:
    """Two convolutions, a mean and a linear layer over (batch, 8, 12, 12), 5 classes."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.normal(0, 0.2, (16, channels // groups, 3, 3)),
        "w2": rng.normal(0, 0.2, (16, 16, 3, 3)),
        "w3": rng.normal(0, 0.5, (16, 5)),
        "b1": rng.normal(0, 0.1, 16),
    }
    held = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    made = [helper.make_node("Constant", [], [t.name], value=t) for t in held] if constants else []
    axes: dict[str, Any] = {"axes": [2, 3]} if opset < 18 else {}
    mean = ["r2"] if opset < 18 else ["r2", "axes"]
    if opset >= 18:
        held.append(numpy_helper.from_array(np.array([2, 3], np.int64), "axes"))
    nodes = [
        *made,
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1] * 4, group=groups),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], pads=[1] * 4),
        helper.make_node("Add", ["c2", "r1"], ["a"]),
        helper.make_node("Relu", ["a"], ["r2"]),
        helper.make_node("ReduceMean", mean, ["m"], keepdims=0, **axes),
        helper.make_node("MatMul", ["m", "w3"], ["y"]),
    ]
    kept = [t for t in held if not constants or t.name == "axes"]
    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, [batch, channels, 12, 12])]
    if inputs_too:
        inputs += [info(t.name, t.data_type, list(t.dims)) for t in kept]
    graph = helper.make_graph(
        nodes, "net", inputs, [info("y", TensorProto.FLOAT, [batch, 5])], kept
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def parsed(text: str, *, opset: int = 17, **held: Any) -> onnx.ModelProto:
    """A graph in ONNX's own words with initializers: arrays, or the shapes of random weights."""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\n{text}')
    rng = np.random.default_rng(0)
    for name, given in held.items():
        drawn = isinstance(given, tuple)
        values = rng.normal(0, 0.3, given).astype(np.float32) if drawn else np.asarray(given)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    onnx.checker.check_model(model, full_check=True)
    return model


def noise_db(model: onnx.ModelProto, made: Made, x: np.ndarray) -> float:
    """How far the noise of a pass's answers is below those of its input, in decibels; samples are
    fed in the batch of ``x``."""
    before = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    a, b = before.run(None, {"x": x})[0], made.run({"x": x})[0]
    return float(10 * np.log10(np.square(a).mean() / np.square(a - b).mean()))


def samples(n: int = 16, channels: int = 8) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, channels, 12, 12)).astype(np.float32)


def close_enough(a: np.ndarray, b: np.ndarray, sqnr_db: float) -> bool:
    """Whether the noise of b against a is at least so many decibels below it."""
    noise = float(np.square(a - b).mean()) or 1e-30
    return 10 * np.log10(float(np.square(a).mean()) / noise) >= sqnr_db


def onnx_runner(tmp_path: Path) -> RunPass:
    """``run(step, model, **arrays)``: what a worker does with a pass on ONNX, checks included."""
    count = 0

    def run(step: Pass, model: onnx.ModelProto, **arrays: np.ndarray) -> Made:
        nonlocal count
        count += 1
        onnx_format = format_named("onnx")
        folders = [tmp_path / f"{count}-{name}" for name in ("in", "rough", "out")]
        for folder in folders:
            folder.mkdir()
        given, rough, out = folders
        onnx_format.save(model, given)
        before = onnx_format.describe(given)
        step.requires(before)
        context = Context(rough, before, arrays)
        made = step.run(onnx_format.load(given), context)
        onnx_format.save(made, out)
        after = onnx_format.describe(out)
        assert after.differs(step.effect(before)) == []
        (path,) = out.glob("*.onnx")
        loaded = onnx.load(path)
        onnx.checker.check_model(loaded, full_check=True)
        return Made(path, loaded, after, context.found)

    return run
