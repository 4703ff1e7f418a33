"""A target whose accelerator takes nothing: an error by name, or measured and marked.

LiteRT compiles for an NPU that is not there, and runs everything on the CPU without a word.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e_project import Project

RECIPE = """\
model: layer.tflite
data:
  source: samples.npz
  inputs: {x: x}
  splits: {validation: validation}
targets: ["local/litert:npu"]
constraints: ["fidelity.cosine >= 0.99"]
"""


@pytest.fixture
def project(cold_project: Project, tflite_model: Path) -> Project:
    project = cold_project
    project.short = True
    shutil.copy(tflite_model, project.folder / "layer.tflite")
    x = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    np.savez(project.folder / "samples.npz", **{"validation.x": x})
    project.write(RECIPE)
    return project


def test_a_benchmark_refuses_a_fallback_or_marks_it(project: Project) -> None:
    asked = ("benchmark", "layer.tflite", "--target", "local/litert:npu", "--quiet")
    refused = project.run(*asked)
    assert refused.returncode == 1
    assert "nodes ran on other providers than requested: 1 on NPU or CPU" in refused.stderr
    assert "--allow-fallback" in refused.stderr
    allowed = project.run(*asked, "--allow-fallback", "--json")
    assert allowed.returncode == 0, allowed.stderr
    (target,) = json.loads(allowed.stdout)["targets"]
    (file,) = target["files"]
    assert file["placement"] == {"NPU or CPU": 1} and "fallback" in file["marks"]


def test_a_recipe_may_allow_it_and_the_result_says_so(project: Project) -> None:
    refused = project.run("optimize", "recipe.yaml", "--quick", "--quiet", "--out", "out")
    assert refused.returncode != 0
    told = refused.stdout + refused.stderr
    assert "nodes ran on other providers than requested" in " ".join(told.split())
    project.write(RECIPE + "allow_fallback: true\n")
    result: dict[str, Any] = project.optimize()
    assert result["recipe"]["allow_fallback"] is True
    (target,) = result["targets"]
    for candidate in target["candidates"]:
        assert candidate["placement"] == {"NPU or CPU": 1}
        assert "fallback" in candidate["measurements"]["latency.p50"]["marks"]
    assert any("ran on other providers, as allowed" in note for note in result["notes"])


def test_what_the_device_lacks_is_told_before_anything_is_built(project: Project) -> None:
    done = project.run("optimize", "recipe.yaml", "--target", "local/onnxruntime:tensorrt")
    assert done.returncode == 1
    assert "finds no accelerator 'tensorrt'" in done.stderr and "it finds: cpu" in done.stderr
    wrong = project.run("plan", "recipe.yaml", "--target", "local/litert:gpuu")
    assert wrong.returncode == 2
