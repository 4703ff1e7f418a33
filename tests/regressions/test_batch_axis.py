"""A recurrent network that has its batch on the second axis, in the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

EDGEOPT = Path(sys.executable).with_name("edgeopt")
RNG = np.random.default_rng(0)
TIME, FEATURES, HIDDEN, N = 5, 3, 4, 40
X = RNG.normal(size=(N, TIME, FEATURES)).astype(np.float32)  # the first axis counts samples
RECIPE = """\
model: m.onnx
data:
  source: d.npz
  splits: {calibration: "samples[:16]", validation: "samples[16:]"}
passes: [{one_of: [none, {quantize-int8: {scheme: u8s8-reduced}}]}]
constraints: ["fidelity.cosine >= 0.2"]
"""


def recurrent(time: int | str) -> Any:
    """(time, batch, features) in; all states (time, batch, 4), and the last (1, batch, 4)."""
    held = {
        "w": RNG.normal(size=(1, HIDDEN, FEATURES)),
        "r": RNG.normal(size=(1, HIDDEN, HIDDEN)),
        "m": RNG.normal(size=(HIDDEN, HIDDEN)),
    }
    tensors = [numpy_helper.from_array(a.astype(np.float32), name) for name, a in held.items()]
    tensors.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    nodes = [
        helper.make_node("RNN", ["x", "w", "r"], ["states", "last"], hidden_size=HIDDEN),
        helper.make_node("Squeeze", ["states", "one"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["all"]),
    ]

    def value(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    graph = helper.make_graph(
        nodes, "g", [value("x", time, "batch", FEATURES)],
        [value("all", time, "batch", HIDDEN), value("last", 1, "batch", HIDDEN)], tensors,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("time", [TIME, "time"])
def test_samples_are_fed_where_the_batch_is(tmp_path: Path, time: int | str) -> None:
    onnx.save(recurrent(time), tmp_path / "m.onnx")
    np.savez(tmp_path / "d.npz", x=X)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    env = {**os.environ, "EDGEOPT_STORE": str(tmp_path / "store")}
    how = "--quick" if time == TIME else "--no-race"
    done = subprocess.run(
        [str(EDGEOPT), "optimize", "recipe.yaml", how, "--json", "--quiet", "--out", "out"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    right = session.run(None, {"x": np.ascontiguousarray(X[16:].transpose(1, 0, 2))})
    for name, answers in zip(("all", "last"), right, strict=True):
        ref = result["source"]["scores"]["validation"][name]
        kept = np.load(next((tmp_path / "store").rglob(f"*{ref['blob'][2:]}*")))
        np.testing.assert_allclose(kept, answers.transpose(1, 0, 2), rtol=1e-5, atol=1e-6)
    (target,) = result["targets"]
    assert {c["status"] for c in target["candidates"]} <= {"chosen", "lost"}
