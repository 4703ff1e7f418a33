"""The command that races files: a model with a free size is raced at the size that is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

EDGEOPT = Path(sys.executable).with_name("edgeopt")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``edgeopt benchmark`` of a sum over a free number of steps."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "time", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=0)
    graph = helper.make_graph([node], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "m.onnx")
    env = {**os.environ, "EDGEOPT_STORE": str(folder / "store")}
    asked = [str(EDGEOPT), "benchmark", "m.onnx", "--target", "local/onnxruntime", "--quiet"]
    return subprocess.run([*asked, *words], cwd=folder, env=env, capture_output=True, text=True,
                          timeout=240)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "need a size for 'time'"),
        (("--shape", "tme=6"), "no dimension 'tme' is free"),
        (("--shape", "time=0"), "'time=0': write DIM=SIZE"),
        (("--shape", "time=6", "--shape", "time=7"), "'time' is given twice"),
    ],
    ids=["none", "unknown", "zero", "twice"],
)
def test_a_free_size_is_named_with_the_option(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = run(tmp_path, *words)
    assert done.returncode == 2 and said in done.stderr
    assert words or "--shape time=100" in done.stderr


def test_a_model_is_raced_at_the_size_that_is_given(tmp_path: Path) -> None:
    done = run(tmp_path, "--shape", "time=6", "--json")
    assert done.returncode == 0, done.stderr
    (target,) = json.loads(done.stdout)["targets"]
    (file,) = target["files"]
    assert file["measurements"]["latency.p50"]["value"] > 0
