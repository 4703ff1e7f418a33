"""A step of a recurrent network: several inputs, one a scalar a sample, and its state both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from e2e_project import Project
from onnx import TensorProto, helper, numpy_helper

N, FEATURES, STATE = 48, 12, 24
RECIPE = """\
model: step.onnx
data:
  source: samples.npz
  splits: {calibration: "train[:16]", validation: validation, test: test}
targets: [local/onnxruntime]
objective: size
constraints: ["fidelity.cosine >= 0.95"]
passes:
  - simplify-onnx
  - one_of: [none, {quantize-int8: {scheme: s8s8}}, fp16]
"""


def step_model() -> onnx.ModelProto:
    """h2 = z * h + (1 - z) * tanh(gain * x W + h U), z = sigmoid(x V); y = h2 O."""
    rng = np.random.default_rng(0)
    shapes = {"W": (FEATURES, STATE), "V": (FEATURES, STATE), "U": (STATE, STATE), "O": (STATE, 5)}
    weights = {k: (rng.standard_normal(s) / 4).astype(np.float32) for k, s in shapes.items()}
    weights["one"] = np.float32(1)
    weights["last"] = np.array([1], np.int64)

    def node(op: str, inputs: str, output: str) -> onnx.NodeProto:
        return helper.make_node(op, inputs.split(), [output], name=output)

    nodes = [
        node("MatMul", "x W", "xw"),
        node("Unsqueeze", "gain last", "column"),
        node("Mul", "xw column", "scaled"),
        node("MatMul", "h U", "hu"),
        node("Add", "scaled hu", "sum"),
        node("Tanh", "sum", "new"),
        node("MatMul", "x V", "xv"),
        node("Sigmoid", "xv", "z"),
        node("Mul", "z h", "kept"),
        node("Sub", "one z", "rest"),
        node("Mul", "rest new", "added"),
        node("Add", "kept added", "h2"),
        node("MatMul", "h2 O", "y"),
    ]

    def value(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])

    graph = helper.make_graph(
        nodes,
        "step",
        [value("x", FEATURES), value("h", STATE), value("gain")],
        [value("y", 5), value("h2", STATE)],
        [numpy_helper.from_array(np.asarray(w), k) for k, w in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made


@pytest.fixture
def stateful(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    onnx.save(step_model(), folder / "step.onnx")
    rng = np.random.default_rng(1)
    np.savez(
        folder / "samples.npz",
        **{
            f"{split}.{name}": rng.uniform(-1, 1, (N, *shape)).astype(np.float32)
            for split in ("train", "validation", "test")
            for name, shape in (("x", (FEATURES,)), ("h", (STATE,)), ("gain", ()))
        },
    )
    project = Project(folder, tmp_path / "store")
    project.write(RECIPE)
    return project


def test_a_step_keeps_its_state_and_its_scalar(stateful: Project) -> None:
    target = stateful.optimize()["targets"][0]
    assert target["verdict"] == "chosen"
    assert all(c["status"] != "failed" for c in target["candidates"])
    made = stateful.folder / "out" / target["path"]
    session = ort.InferenceSession(str(made), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["x", "h", "gain"]
    assert [o.name for o in session.get_outputs()] == ["y", "h2"]
    source = ort.InferenceSession(str(stateful.folder / "step.onnx"))
    with np.load(stateful.folder / "samples.npz") as archive:
        feeds = {name: archive[f"test.{name}"] for name in ("x", "h", "gain")}
    ours, theirs = (np.concatenate(s.run(None, feeds), 1).ravel() for s in (session, source))
    assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) > 0.95
