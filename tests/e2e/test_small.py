"""``recipes/fashion-mnist-small.yaml``: pruned, distilled, trained with quantization, all raced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e_project import MODEL, Project
from test_recipes import ROOT

SHORTER = (
    ("../models", str(MODEL.parent)),
    ("epochs: 40", "steps: 60"),
    ("epochs: 6", "steps: 4"),
    ("train: train ", 'train: "train[:2000]" '),
    ("validation: validation", 'validation: "validation[:500]"'),
    ("test: test", 'test: "test[:1000]"'),
    ("accuracy >= source - 1.0pt", "accuracy >= source - 30pt"),
)


@pytest.mark.slow
@pytest.mark.long
def test_the_whole_chain_is_raced_after_every_stage(tmp_path: Path) -> None:
    text = (ROOT / "recipes" / "fashion-mnist-small.yaml").read_text()
    for old, new in SHORTER:
        assert old in text
        text = text.replace(old, new)
    project = Project(tmp_path, tmp_path / "store")
    project.write(text)
    done = project.run("optimize", "recipe.yaml", "--quick", "--json", "--out", "out", timeout=1500)
    assert done.returncode in (0, 4), done.stderr  # on so few samples a verdict may stay open
    result = json.loads(done.stdout)
    assert not result["jobs"]["failed"]
    (target,) = result["targets"]
    chains = {tuple(step["name"] for step in c["chain"]) for c in target["candidates"]}
    small = ("prune-structured", "distill")
    for export in ("export-onnx", "export-tflite"):
        for stages in ((), small, (*small, "qat")):
            assert (*stages, export) in chains
        for stages in ((), small):
            assert (*stages, export, "quantize-int8") in chains
    raced = [c for c in target["candidates"] if "ratio.latency.p50" in c["measurements"]]
    fastest = min(raced, key=lambda c: c["measurements"]["ratio.latency.p50"]["value"])
    assert any(step["name"] == "distill" for step in fastest["chain"]), "a ninth of the work"
    assert {s["form"] for s in target["stages"]} >= {"float32", "int8"}
