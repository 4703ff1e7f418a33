"""Inputs that are the same for all samples, in the real command: scored, raced, calibrated."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from e2e_project import SHORT
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 16)).astype(np.float32)
WEIGHTS = RNG.normal(size=(16, 4)).astype(np.float32)
RECIPE = """\
model: m.onnx
data:
  source: d.npz
  inputs: {{rate: {rate}}}
  splits: {{calibration: "samples[:20]", validation: "samples[20:]"}}
passes: [{{one_of: [none, {{quantize-int8: {{scheme: u8s8-reduced, float_stem: false}}}}]}}]
constraints: ["fidelity.cosine >= 0.5"]
"""


def model(shape: list[int], dtype: int) -> Any:
    """``relu(x * rate) @ w``; ``rate`` is the first input."""
    nodes = [
        helper.make_node("Cast", ["rate"], ["r"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "r"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    inputs = [
        helper.make_tensor_value_info("rate", dtype, shape),
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(WEIGHTS, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "EDGEOPT_STORE": str(folder / "store")}
    return subprocess.run([*SHORT, *words], cwd=folder, env=env, capture_output=True, text=True,
                          timeout=240)  # fmt: skip


def optimized(folder: Path, rate: float, how: str) -> dict[str, Any]:
    (folder / "recipe.yaml").write_text(RECIPE.format(rate=rate))
    done = run(folder, "optimize", "recipe.yaml", how, "--json", "--quiet", "--out", "out")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def answers(folder: Path, result: dict[str, Any]) -> np.ndarray:
    """What the source answered, as the store keeps it."""
    (ref,) = result["source"]["scores"]["validation"].values()
    blob = next((folder / "store").rglob(f"*{ref['blob'][2:]}*"))
    kept: np.ndarray = np.load(blob)
    return kept


@pytest.mark.parametrize(
    ("shape", "dtype"), [([], TensorProto.INT64), ([1], TensorProto.FLOAT)], ids=["()", "(1,)"]
)
def test_a_constant_is_fed_with_every_batch(tmp_path: Path, shape: list[int], dtype: int) -> None:
    onnx.save(model(shape, dtype), tmp_path / "m.onnx")
    np.savez(tmp_path / "d.npz", x=X)
    result = optimized(tmp_path, 3, "--no-race")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    rate = np.full(shape, 3, helper.tensor_dtype_to_np_dtype(dtype))
    right = session.run(None, {"x": X[20:], "rate": rate})[0]
    np.testing.assert_allclose(answers(tmp_path, result), right, rtol=1e-5, atol=1e-5)
    (target,) = result["targets"]
    assert {c["status"] for c in target["candidates"]} == {"chosen", "lost"}, "INT8 is made, too"
    (told,) = (each for each in target["inputs"] if each["tensor"]["name"] == "rate")
    assert told["constant"] == 3
    again = optimized(tmp_path, 4, "--no-race")
    scored = [job for job in again["jobs"]["ran"] if job.startswith("score:")]
    assert len(scored) == 2, "another constant is scored afresh"


def test_constants_race_and_single_numbers_are_benchmarked_and_compared(tmp_path: Path) -> None:
    onnx.save(model([], TensorProto.INT64), tmp_path / "m.onnx")
    np.savez(tmp_path / "d.npz", x=X)
    (target,) = optimized(tmp_path, 3, "--quick")["targets"]
    assert all("latency.p50" in c["measurements"] for c in target["candidates"])
    np.savez(tmp_path / "with.npz", x=X, rate=np.int64(3))
    words = ("compare", "m.onnx", "m.onnx", "--quick", "--target", "local/onnxruntime", "--json")
    for given in (("--recipe", "recipe.yaml"), ("--data", "with.npz")):
        done = run(tmp_path, *words, *given)
        assert done.returncode == 0, done.stderr
        (pair,) = json.loads(done.stdout)["pairs"]
        assert pair["answers"] is not None


def test_a_constant_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    onnx.save(model([], TensorProto.INT64), tmp_path / "m.onnx")
    np.savez(tmp_path / "d.npz", x=X)
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(rate=0.5))
    done = run(tmp_path, "optimize", "recipe.yaml", "--no-race", "--out", "out")
    assert done.returncode == 1 and "cannot hold the constant 0.5" in done.stderr
