"""Pruning in the real command: narrower artifacts, chosen in several formats, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from e2e_project import Project
from test_recipes import ROOT, optimized

PRUNED = """\
  - one_of: [none, {prune-structured: {macs: 0.8, importance: taylor}}]
  - export-onnx: {}
"""


@pytest.fixture
def pruning(project: Project) -> Project:
    """A project whose recipe may prune before it exports."""
    project.edit("recipe.yaml", "  - export-onnx: {}\n  - one_of: [none, {simplify-onnx: {}}]\n",
                 PRUNED)  # fmt: skip
    project.edit("recipe.yaml", '["accuracy >= source - 10pt"]', '["size <= 1 MB"]')
    return project


def chosen(result: dict[str, Any]) -> dict[str, Any]:
    (target,) = result["targets"]
    return next(c for c in target["candidates"] if c["id"] == target["chosen"])


def test_a_pruned_and_quantized_network_is_the_smallest(pruning: Project) -> None:
    result = pruning.optimize()
    assert not result["jobs"]["failed"]
    best = chosen(result)
    assert "prune-structured" in best["label"] and "quantize-int8" in best["label"]
    found = next(s["found"] for s in best["chain"] if s["name"] == "prune-structured")
    kept = {each["path"]: each["kept"] for each in found["layers"] if each["units"]}
    assert 0 < kept["stages.2.conv1"] <= 128 and min(kept.values()) < 128
    assert found["after"]["macs"] <= 0.8 * found["before"]["macs"]
    page = (pruning.folder / "out" / "report.html").read_text()
    assert "What pruning left" in page and "channels" in page


def test_a_pruned_module_runs_as_a_torch_target(pruning: Project) -> None:
    text = pruning.recipe.read_text().replace("local/onnxruntime", "local/torch")
    head, _, _ = text.partition("passes:")
    pruning.write(f"{head}passes:\n  - one_of: [none, {{prune-structured: {{ratio: 0.25}}}}]\n")
    best = chosen(pruning.optimize())
    assert "prune-structured" in best["label"] and "edits.json" in best["artifact"]["files"]
    (found,) = (pruning.folder / "out" / "best").rglob("edits.json")
    assert [record["edit"] for record in json.loads(found.read_text())] == ["prune"]


def test_goals_that_cannot_be_lose_their_candidates_by_name(pruning: Project) -> None:
    goals = ("{ratio: 0.99}", "{macs: 0.001}", "{ratio: {stage.0: 0.5}}")
    steps = ", ".join(f"{{prune-structured: {fields}}}" for fields in goals)
    pruning.edit("recipe.yaml", "{prune-structured: {macs: 0.8, importance: taylor}}", steps)
    pruning.edit("recipe.yaml", '["size <= 1 MB"]', '["size <= 2 MB"]')
    done = pruning.run("optimize", "recipe.yaml", "--no-bench", "--json", "--out", "out")
    for said in ("none of its 32 channels", "cannot be reached", "not a layer that can be pruned"):
        assert said in done.stdout


def test_two_goals_are_a_wrong_recipe(pruning: Project) -> None:
    pruning.edit("recipe.yaml", "macs: 0.8", "macs: 0.8, parameters: 0.5")
    done = pruning.run("plan", "recipe.yaml")
    assert done.returncode == 2
    assert "one goal" in done.stderr and "recipe.yaml:1" in done.stderr


@pytest.mark.slow
@pytest.mark.long
def test_the_shipped_recipe_prunes_distills_and_zeroes(tmp_path: Path) -> None:
    target = optimized(ROOT / "recipes" / "prune.yaml", tmp_path)
    chains = {tuple(step["name"] for step in c["chain"]) for c in target["candidates"]}
    assert ("prune-structured", "distill", "prune-unstructured", "export-onnx") in chains
    assert ("prune-structured", "distill", "prune-gradual", "export-onnx") in chains
    assert ("distill", "export-onnx") in chains


def test_the_layers_that_can_be_pruned_are_listed_beforehand(pruning: Project) -> None:
    done = pruning.run("prunable", "recipe.yaml", "--json")
    assert done.returncode == 0, done.stderr
    layers = {each["path"]: each for each in json.loads(done.stdout)["layers"]}
    assert layers["stem.0"]["units"] == 32 and not layers["stem.0"]["reason"]
    assert layers["stages.0.conv2"]["group"] == "stem.0", "added to it"
    assert "output" in layers["head"]["reason"]
    shown = pruning.run("prunable", "recipe.yaml")
    assert "left unchanged because" in shown.stdout and "layers can be pruned" in shown.stdout
