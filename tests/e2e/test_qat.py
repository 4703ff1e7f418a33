"""``qat`` in the real command: trained, exported with its ranges, and chosen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e_project import MODEL, Project, save_samples

ROOT = Path(__file__).parents[2]
SPLITS = 'splits:\n    train: train\n    calibration: "train[:48]"'
OLD = """\
  - export-onnx: {}
  - one_of: [none, {simplify-onnx: {}}]
  - one_of: [none, {quantize-int8: {scheme: s8s8}}]
"""
STEPS = """\
  - qat: {steps: 3, batch: 16, lr: 0.001, scheme: s8s8}
  - export-onnx: {}
"""


@pytest.fixture
def training(project: Project) -> Project:
    """A project whose recipe trains with quantization on 96 images."""
    with np.load(MODEL / "fashion_mnist.npz") as archive:
        images, label = archive["train.images"][:96], archive["train.label"][:96]
    save_samples(project.folder / "samples.npz", train__images=images, train__label=label)
    project.edit("recipe.yaml", 'splits:\n    calibration: "train[:48]"', SPLITS)
    project.edit("recipe.yaml", OLD, STEPS)
    return project


def chosen(result: dict[str, Any]) -> dict[str, Any]:
    target = result["targets"][0]
    return next(c for c in target["candidates"] if c["id"] == target["chosen"])


def test_a_trained_network_is_exported_with_its_ranges_and_chosen(training: Project) -> None:
    result = training.optimize()
    label = chosen(result)["label"]
    assert "qat" in label and "export-onnx" in label
    assert not result["jobs"]["failed"]


def test_quantizing_twice_is_refused_before_anything_runs(training: Project) -> None:
    ptq = "  - quantize-int8: {scheme: s8s8}\n"
    training.edit("recipe.yaml", "  - export-onnx: {}\n", "  - export-onnx: {}\n" + ptq)
    done = training.run("optimize", "recipe.yaml", "--quick", "--out", "out")
    assert done.returncode == 2
    assert "quantized already" in done.stderr
    training.edit("recipe.yaml", ptq, "")
    training.edit("recipe.yaml", "  - export-onnx: {}\n", "  - qat: {}\n  - export-onnx: {}\n")
    done = training.run("optimize", "recipe.yaml", "--quick", "--out", "out")
    assert done.returncode == 2
    assert "quantized already" in done.stderr


@pytest.mark.slow
@pytest.mark.long
def test_the_shipped_recipe_races_trained_int8_in_both_runtimes(
    project: Project, tmp_path: Path
) -> None:
    """``recipes/qat.yaml`` with two steps on few samples in the place of its epochs."""
    shutil.copytree(MODEL, tmp_path / "models" / "fashion_mnist")
    (tmp_path / "recipes").mkdir()
    text = (ROOT / "recipes" / "qat.yaml").read_text()
    for old, new in (
        ("epochs: 3", "steps: 2, lr: 0.00001"),
        ("train: train ", 'train: "train[:600]" '),
        ("validation: validation", 'validation: "validation[:1000]"'),
        ("test: test", 'test: "test[:2000]"'),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "recipes" / "recipe.yaml").write_text(text)
    whole = Project(tmp_path / "recipes", project.store)
    done = whole.run("optimize", "recipe.yaml", "--quick", "--json", "--out", "out", timeout=1500)
    assert done.returncode in (0, 4), done.stderr  # on so few samples a verdict may stay open
    result = json.loads(done.stdout)
    labels = [c["label"] for t in result["targets"] for c in t["candidates"]]
    for scheme, export in (("int8", "export-tflite"), ("8s8", "export-onnx")):
        assert any(scheme in label and "qat" in label and export in label for label in labels)
    assert not result["jobs"]["failed"]
