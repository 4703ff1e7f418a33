"""``distill`` in the real command: from a recipe to a chosen artifact, and after kill -9."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e_project import MODEL, Project, save_samples

STUDENT = """\
  - distill: {student: "net.py:resnet_8", steps: 40, batch: 16, checkpoint_every: 4, lr: 0.3}
  - export-onnx: {}
"""
TRAINING = 'splits:\n    train: train\n    calibration: "train[:48]"'


@pytest.fixture
def training(project: Project) -> Project:
    """A project whose recipe trains a student of width 8 on 300 images."""
    with np.load(MODEL / "fashion_mnist.npz") as archive:
        images, label = archive["train.images"][:300], archive["train.label"][:300]
    save_samples(project.folder / "samples.npz", train__images=images, train__label=label)
    project.edit("recipe.yaml", 'splits:\n    calibration: "train[:48]"', TRAINING)
    project.edit("recipe.yaml", "  - export-onnx: {}\n  - one_of: [none, {simplify-onnx: {}}]\n",
                 STUDENT)  # fmt: skip
    project.edit("recipe.yaml", '["accuracy >= source - 10pt"]', '["size <= 100 kB"]')
    return project


def chosen(result: dict[str, Any]) -> tuple[str, dict[str, str]]:
    target = result["targets"][0]
    found = next(c for c in target["candidates"] if c["id"] == target["chosen"])
    return found["label"], found["artifact"]["files"]


def test_a_student_is_trained_exported_quantized_and_chosen(training: Project) -> None:
    result = training.optimize()
    label, _ = chosen(result)
    assert "distill" in label and "quantize-int8" in label
    assert not result["jobs"]["failed"]


@pytest.mark.slow
@pytest.mark.long
def test_a_second_run_trains_nothing_and_another_label_trains_anew(training: Project) -> None:
    result = training.optimize()
    again = training.optimize()
    assert chosen(again) == chosen(result)
    assert not [id for id in again["jobs"]["ran"] if id.startswith("distill")]
    with np.load(training.folder / "samples.npz") as archive:
        arrays = {name: archive[name].copy() for name in archive.files}
    arrays["train.label"][0] = 9 - arrays["train.label"][0]
    np.savez(training.folder / "samples.npz", **arrays)
    assert chosen(training.optimize())[1] != chosen(result)[1]


def test_without_a_training_split_nothing_starts(training: Project) -> None:
    training.edit("recipe.yaml", "    train: train\n", "")
    done = training.run("optimize", "recipe.yaml", "--out", "out")
    assert done.returncode == 2
    assert "'distill' needs a 'train' split" in done.stderr
    assert "train: train" in done.stderr


@pytest.mark.slow
@pytest.mark.long
def test_killed_while_it_trains_it_goes_on_and_ends_with_the_same_bits(training: Project) -> None:
    whole = Project(training.folder, training.store.with_name("whole-store")).optimize()
    kept = training.store / "checkpoints"
    process = training.start("optimize", "recipe.yaml", "--quick", "--out", "out")
    deadline = time.monotonic() + 240
    while not list(kept.glob("*/checkpoint.pt")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert training.left_behind() == []
    (saved,) = kept.glob("*/checkpoint.pt")
    assert chosen(training.optimize()) == chosen(whole)
    assert not saved.exists(), "gone once the outcome is kept"


def test_a_student_of_other_classes_loses_by_name(training: Project) -> None:
    path: Path = training.folder / "net.py"
    path.write_text(path.read_text() + "\n\ndef seven():\n    return ResNet(8, classes=7)\n")
    training.edit("recipe.yaml", "net.py:resnet_8", "net.py:seven")
    done = training.run("optimize", "recipe.yaml", "--quick", "--out", "out")
    assert done.returncode != 0
    assert "the teacher answers with 10 classes, the student with 7" in done.stderr + done.stdout


def test_a_student_that_nobody_wrote_is_missed_before_anything_is_trained(
    training: Project,
) -> None:
    training.edit("recipe.yaml", "net.py:resnet_8", "net.py:resnet_9")
    done = training.run("plan", "recipe.yaml")
    assert done.returncode == 1
    assert "no callable 'resnet_9'" in done.stderr and "net.py" in done.stderr


def test_a_pruned_network_is_the_student(training: Project) -> None:
    training.edit(
        "recipe.yaml",
        STUDENT,
        "  - prune-structured: {macs: 0.5}\n  - distill: {steps: 8, batch: 16, lr: 0.01}\n"
        "  - export-onnx: {}\n",
    )
    training.edit("recipe.yaml", '["size <= 100 kB"]', '["size <= 800 kB"]')
    result = training.optimize()
    label, files = chosen(result)
    assert "prune-structured" in label and "model.onnx" in files
    trained = [c for c in result["targets"][0]["candidates"] if "distill" in c["label"]]
    assert trained and all(c["label"].startswith("prune-structured") for c in trained)
    assert all("accuracy" in c["measurements"] for c in trained), "as fast as what it began from"


@pytest.mark.slow
@pytest.mark.long
def test_the_shipped_recipe_in_short(tmp_path: Path) -> None:
    text = (MODEL.parents[1] / "recipes" / "distill.yaml").read_text()
    for old, new in (
        ("../models", str(MODEL.parent)),
        ("epochs: 10", "steps: 30"),
        ("train: train ", 'train: "train[:640]" '),
        ("validation: validation", 'validation: "validation[:300]"'),
        ("test: test", 'test: "test[:300]"'),
        ("accuracy >= source - 3.0pt", "size <= 1.5 MB"),
    ):
        assert old in text
        text = text.replace(old, new)
    project = Project(tmp_path, tmp_path / "store")
    project.write(text)
    label, _ = chosen(project.optimize())
    assert "distill" in label and "quantize-int8" in label, "a quarter of the work is faster"
