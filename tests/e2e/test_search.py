"""Recipes that leave a width open, in the real command: it is found by measuring."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from e2e_project import MODEL, Project, save_samples

SPLITS = 'splits:\n    train: train\n    calibration: "train[:48]"'
STAGES = "  - prune-structured: {macs: FRACTION}\n  - distill: {steps: 30, batch: 32, lr: 0.02}\n"
EXPORT = "  - export-onnx: {}\n"


@pytest.fixture
def searching(project: Project) -> Project:
    """A project that may train on 300 images."""
    project.short = False
    with np.load(MODEL / "fashion_mnist.npz") as archive:
        images, label = archive["train.images"][:300], archive["train.label"][:300]
    save_samples(project.folder / "samples.npz", train__images=images, train__label=label)
    project.edit("recipe.yaml", 'splits:\n    calibration: "train[:48]"', SPLITS)
    project.edit("recipe.yaml", "  - one_of: [none, {simplify-onnx: {}}]\n", "")
    project.edit("recipe.yaml", "objective: size\n", "")
    project.edit("recipe.yaml", "source - 10pt", "source - 60pt")
    return project


def labels(result: dict[str, Any]) -> set[str]:
    return {c["label"] for c in result["targets"][0]["candidates"]}


@pytest.mark.slow
@pytest.mark.long
def test_a_speed_up_takes_the_widest_network_that_reaches_it(searching: Project) -> None:
    asked = ("optimize", "recipe.yaml", "--speedup", "1.5x", "--quick", "--json", "--out", "out")
    done = searching.run(*asked, timeout=1200)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    points = result["search"]
    (taken,) = [p for p in points if p["taken"]]
    assert taken["offered"] and taken["ratio"] <= 1 / 1.5
    assert any(f"prune-structured(macs={taken['fraction']})" in label for label in labels(result))
    wider = [p for p in points if p["offered"] and p["fraction"] > taken["fraction"]]
    assert all(p["ratio"] > taken["ratio"] for p in wider)
    stages = result["targets"][0]["stages"]
    assert {s["form"] for s in stages} == {"float32", "int8"}
    assert any("distill" in s["stage"] for s in stages)  # alone, or with what is only pruned
    assert result["recipe"]["passes"][0] == {"prune-structured": {"speedup": "1.5x"}}
    shown = searching.run("report", "out").stdout
    assert "time of the chain with a stage" in shown
    page = (searching.folder / "out" / "report.html").read_text()
    assert "What the stages did to speed" in page and "What the search tried" in page
    assert searching.left_behind() == []


@pytest.mark.slow
@pytest.mark.long
def test_the_smallest_network_that_holds_is_bisected(searching: Project) -> None:
    searching.edit("recipe.yaml", EXPORT, STAGES.replace("FRACTION", "smallest") + EXPORT)
    result = searching.optimize()
    points = result["search"]
    assert 1 <= len(points) <= 5
    holds = [p["fraction"] for p in points if p["holds"]]
    (taken,) = [p["fraction"] for p in points if p["taken"]]
    assert taken == (min(holds) if holds else min(p["fraction"] for p in points))
    for point in points:
        if not point["hopeless"]:
            assert point["holds"] == (point["margin"] is not None and point["margin"] >= 0)
    assert any(f"macs={round(taken, 4)}" in label for label in labels(result))


def test_nothing_is_sought_where_nothing_may_be_measured(searching: Project) -> None:
    done = searching.run("optimize", "recipe.yaml", "--speedup", "4x", "--no-bench")
    assert done.returncode == 2
    assert "'prune-structured" in done.stderr and "needs measuring" in done.stderr
    searching.edit("recipe.yaml", EXPORT, STAGES.replace("FRACTION", "0.5") + EXPORT)
    done = searching.run("optimize", "recipe.yaml", "--speedup", "4x")
    assert done.returncode == 2 and "recipe.yaml:" in done.stderr
