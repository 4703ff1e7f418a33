"""ONNX files run node by node, and sources whose fused answers are others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from guarded_parts import CHANNELS, SIDE, classifier
from onnx import TensorProto, helper, numpy_helper

from edgeopt.formats import format_named
from edgeopt.schema.job import NODE_BY_NODE, ArrayRef, Arrays, Job, Outcome, Request
from edgeopt.store import Store
from edgeopt.worker.answers import Answering
from edgeopt.worker.plain import STEPS, leaves_its_graph, node_by_node

N = 40  # more than a batch
SCALE = 0.25


def images() -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.standard_normal((N, CHANNELS, SIDE, SIDE)).astype(np.float32)


def direct(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {session.get_inputs()[0].name: x})


def quantized() -> onnx.ModelProto:
    """``y``: x through a grid of steps of ``SCALE``."""
    held = [numpy_helper.from_array(np.array(SCALE, np.float32), "scale"),
            numpy_helper.from_array(np.array(0, np.int8), "zero")]  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "grid", [info("x", TensorProto.FLOAT, ["batch", 4])],
        [info("y", TensorProto.FLOAT, ["batch", 4])], held,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_every_sample_is_answered_as_the_nodes_say(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    onnx.save(classifier(), made / "model.onnx")
    x = images()
    with Store(tmp_path / "store") as store, store.workdir() as workdir:
        value = {"artifact": store.put_artifact(made, "onnx").to_json(),
                 "description": format_named("onnx").describe(made).to_json()}  # fmt: skip
        arrays = Arrays(split="v", n=N, arrays={"image": store.put_array(x)})
        job = Job(id="plain", kind="check", name=NODE_BY_NODE, params={"n": N - 2})
        request = Request(
            job=job, store=str(store.root), workdir=str(workdir),
            inputs={"model": Outcome(job="m", status="ok", value=value),
                    "samples": Outcome(job="s", status="ok", value=arrays.to_json())},
        )  # fmt: skip
        digest, told = node_by_node(request, store)
        found = {n: store.get_array(ArrayRef.model_validate(r))
                 for n, r in told["outputs"].items()}  # fmt: skip
    assert told["n"] == N - 2 and len(digest) == 64
    assert list(found) == ["logits", "scores"]
    for mine, theirs in zip(found.values(), direct(classifier(), x[: N - 2]), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


def source(
    folder: Path, model: onnx.ModelProto, x: np.ndarray, off: dict[str, np.ndarray]
) -> Answering:
    """The model of a file, whose fused session would be ``off`` by so much."""
    onnx.save(model, folder / "model.onnx")
    fmt = format_named("onnx")
    fused = fmt.runner(folder)

    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = fused(feeds)
        rows = len(next(iter(feeds.values())))
        return {name: a + off[name][:rows] if name in off else a for name, a in found.items()}

    description = fmt.describe(folder)
    (feed,) = [tensor.name for tensor in description.signature.inputs]
    return Answering(description, run, {feed: x}, {feed: x})


def test_a_source_that_answers_as_its_graph_is_no_note(tmp_path: Path) -> None:
    made = source(tmp_path, classifier(), images()[:8], {})
    assert leaves_its_graph(made, made.outputs(), tmp_path) == ""


def test_a_source_that_leaves_its_graph_is_told_with_output_and_sample(tmp_path: Path) -> None:
    off = np.zeros((8, 5), np.float32)
    off[6, 2] = 3.0
    made = source(tmp_path, classifier(), images()[:8], {"scores": off})
    told = leaves_its_graph(made, made.outputs(), tmp_path)
    assert "output 'scores' by 3 (" in told and "of its largest value) at sample 6." in told


@pytest.mark.parametrize(("steps", "leaves"), [(STEPS, False), (STEPS + 0.5, True)])
def test_a_quantized_source_is_judged_in_steps_of_its_output(
    tmp_path: Path, steps: float, leaves: bool
) -> None:
    x = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)
    off = np.full((N, 4), steps * SCALE, np.float32)
    made = source(tmp_path, quantized(), x, {"y": off})
    assert made.description.facts & {"qdq", "int8"}
    told = leaves_its_graph(made, made.outputs(), tmp_path)
    assert ("(4.5 quantization steps)" in told) is leaves
    assert bool(told) is leaves


def test_a_file_that_cannot_be_run_so_is_left_alone(tmp_path: Path) -> None:
    made = source(tmp_path, classifier(), images()[:4], {"scores": np.full((4, 5), 9.0)})
    outputs = made.outputs()
    (tmp_path / "model.onnx").write_bytes(b"no model")
    assert leaves_its_graph(made, outputs, tmp_path) == ""
