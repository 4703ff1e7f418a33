"""Networks that take samples on their second axis, which nothing but running them tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from test_batch_axis import recurrent

from edgeopt.formats import format_named

EDGEOPT = Path(sys.executable).with_name("edgeopt")
TIME, FEATURES, N = 5, 3, 40
X = np.random.default_rng(0).normal(size=(N, TIME, FEATURES)).astype(np.float32)
NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.states, self.head = nn.LSTM(3, 4), nn.Linear(4, 2)  # (time, batch, features)

    def forward(self, x):
        states, _ = self.states(x)
        return self.head(states[-1]), states
"""
RECIPE = """\
model: {factory: "net.py:Net"}
data:
  source: d.npz
  splits: {calibration: "samples[:16]", validation: "samples[16:]"}
targets: [local/onnxruntime, local/litert]
passes: [{one_of: [export-onnx, export-tflite]}]
"""


def optimized(folder: Path, *more: str) -> dict[str, Any]:
    env = {**os.environ, "EDGEOPT_STORE": str(folder / "store")}
    done = subprocess.run(
        [str(EDGEOPT), "optimize", "recipe.yaml", "--no-race", "--json", "--quiet", *more],
        cwd=folder, env=env, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def kept(folder: Path, ref: dict[str, Any]) -> Any:
    return np.load(next((folder / "store").rglob(f"*{ref['blob'][2:]}*")))


def test_torch_samples_are_fed_where_they_do_not_touch(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    np.savez(tmp_path / "d.npz", x=X)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    result = optimized(tmp_path)
    scope: dict[str, Any] = {}
    exec(NET, scope)
    with torch.no_grad():
        last, states = scope["Net"]().eval()(torch.from_numpy(X[16:]).movedim(0, 1))
    scores = result["source"]["scores"]["validation"]
    right = {"output_0": last.numpy(), "output_1": states.movedim(1, 0).numpy()}
    for name, answers in right.items():
        np.testing.assert_allclose(kept(tmp_path, scores[name]), answers, rtol=1e-5, atol=1e-6)
    assert "on axis 1" in " ".join(result["notes"])
    candidates = [c for target in result["targets"] for c in target["candidates"]]
    assert {c["target"] for c in candidates} == {"local/onnxruntime", "local/litert"}
    assert all(c["status"] in ("chosen", "lost") for c in candidates), candidates


@pytest.mark.parametrize("time", [TIME, "T"])
def test_onnx_samples_are_fed_where_they_do_not_touch(tmp_path: Path, time: int | str) -> None:
    model = recurrent(time)
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == "batch":
                dim.dim_param = "clips"
    onnx.save(model, tmp_path / "given.onnx")
    (tmp_path / "made").mkdir()
    form = format_named("onnx")
    form.gather({"path": "given.onnx"}, tmp_path, tmp_path / "made", {})
    signature = form.describe(tmp_path / "made").signature
    assert signature.inputs[0].shape == (time, "batch", FEATURES)
    assert [t.batch_axis for t in signature.outputs] == [1, 1]


def test_an_onnx_sequence_with_its_batch_first_stays_so(tmp_path: Path) -> None:
    def value(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    nodes = [helper.make_node("CumSum", ["x", "axis"], ["y"])]
    axis = numpy_helper.from_array(np.array(1, np.int64), "axis")
    graph = helper.make_graph(
        nodes, "g", [value("x", "n", "t", 3)], [value("y", "n", "t", 3)], [axis]
    )
    onnx.save(helper.make_model(graph, ir_version=8), tmp_path / "given.onnx")
    (tmp_path / "made").mkdir()
    form = format_named("onnx")
    form.gather({"path": "given.onnx"}, tmp_path, tmp_path / "made", {})
    assert form.describe(tmp_path / "made").signature.inputs[0].shape == ("batch", "t", 3)
