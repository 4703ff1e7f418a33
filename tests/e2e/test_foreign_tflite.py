"""TFLite files out of another project's package: one with operators of its own, one without."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from e2e_project import Project

pytestmark = pytest.mark.long

PINS = Path(__file__).parents[2] / "requirements" / "e2e-tflite.txt"
MODULES = "mediapipe/modules"
RECIPE = """\
model: iris.tflite
data:
  source: samples.npz
  inputs: {input_1: eye}
  splits: {calibration: calibration, validation: validation}
targets: [local/litert]
objective: size
constraints: ["fidelity.cosine >= 0.9"]
passes:
  - one_of: [none, {quantize-int8: {scheme: dynamic}}, {quantize-int8: {scheme: weight-only}}, fp16]
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the package's models."""
    folder = tmp_path_factory.mktemp("mediapipe")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
               "--no-deps", "--target", str(folder), "-r", str(PINS)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return folder / MODULES


def test_operators_that_are_not_in_the_file_are_named(modules: Path, project: Project) -> None:
    path = modules / "face_landmark" / "face_landmark_with_attention.tflite"
    done = project.run("inspect", str(path))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "face_landmark_with_attention.tflite" in done.stderr
    assert "custom operators Landmarks2TransformMatrix, TransformLandmarks" in done.stderr


def test_a_model_with_two_outputs_is_quantized_and_scored_by_fidelity(
    modules: Path, project: Project
) -> None:
    shutil.copy(modules / "iris_landmark" / "iris_landmark.tflite", project.folder / "iris.tflite")
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("calibration", 8), ("validation", 24)):
        coarse = rng.random((n, 8, 8, 3))
        arrays[f"{split}.eye"] = coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.float32)
    np.savez(project.folder / "samples.npz", **arrays)
    project.write(RECIPE)
    target = project.optimize()["targets"][0]
    by_label = {c["label"]: c["measurements"] for c in target["candidates"]}
    assert len(by_label) == 4
    assert by_label["source"]["fidelity.cosine"]["value"] == pytest.approx(1.0)
    assert by_label["fp16"]["ratio.size"]["value"] < 0.6
    chosen = next(c for c in target["candidates"] if c["status"] == "chosen")
    outputs = [t["name"] for t in chosen["description"]["signature"]["outputs"]]
    assert outputs == ["output_eyes_contours_and_brows", "output_iris"]
    assert chosen["measurements"]["size"]["value"] == min(
        m["size"]["value"] for m in by_label.values()
        if m["fidelity.cosine"]["value"] >= 0.9
    )  # fmt: skip
    assert json.loads((project.folder / "out" / "result.json").read_text())["exit_code"] == 0
