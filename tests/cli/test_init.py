"""A recipe to start from, and models that come without one, by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from passes_bench import network, samples

EDGEOPT = Path(sys.executable).with_name("edgeopt")
NET = """
import torch

def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "EDGEOPT_STORE": str(folder / "store")}
    return subprocess.run(
        [str(EDGEOPT), *words], cwd=folder, env=env, capture_output=True, text=True, timeout=240
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a model, and samples whose labels are the model's own answers, called ``kinds``."""
    onnx.save(network(), tmp_path / "net.onnx")
    x = samples(32)
    kinds = np.arange(32) % 2
    halves = {"train": slice(16), "validation": slice(16, 32)}
    arrays = {f"{name}.x": x[rows] for name, rows in halves.items()}
    arrays |= {f"{name}.kinds": kinds[rows] for name, rows in halves.items()}
    np.savez(tmp_path / "d.npz", **arrays)
    return tmp_path


def test_a_recipe_is_written_that_runs_and_says_what_was_asked(folder: Path) -> None:
    asked = ("net.onnx", "--data", "d.npz", "--label", "kinds", "--max-drop", "40pt")
    done = run(folder, "init", *asked, "--target", "local/onnxruntime", "--time", "5 min")
    assert done.returncode == 0, done.stderr
    text = (folder / "recipe.yaml").read_text()
    assert "- accuracy >= source - 40pt" in text and "limits:\n  time: 5 min" in text
    assert "  path: net.onnx" in text and "  label: kinds" in text
    ran = run(folder, "optimize", "recipe.yaml", "--no-race", "--quiet")
    assert ran.returncode in (0, 3, 4), ran.stderr
    assert (folder / "edgeopt-out" / "recipe" / "result.json").is_file()
    again = run(folder, "init", *asked)
    assert again.returncode == 2 and "--force" in again.stderr
    assert (folder / "recipe.yaml").read_text() == text


def test_without_a_terminal_what_is_missing_is_named(folder: Path) -> None:
    for words, missing in (((), "'MODEL' is missing"), (("net.onnx",), "'--data' is missing")):
        done = run(folder, "init", *words)
        assert done.returncode == 2 and missing in done.stderr
        assert not (folder / "recipe.yaml").exists()


def test_what_was_tried_lies_beside_the_result_and_makes_the_same_files(folder: Path) -> None:
    asked = ("optimize", "net.onnx", "--data", "d.npz", "--no-bench", "--quiet")
    done = run(folder, *asked)
    assert done.returncode == 0, done.stderr
    made = Path("edgeopt-out") / "net" / "recipe.yaml"
    assert str(made) in done.stdout
    again = run(folder, "optimize", str(made), "--no-bench", "--quiet", "--json", "--out", "again")
    assert again.returncode == 0, again.stderr
    for number in ("00", "01"):
        place = Path("candidates") / "local-onnxruntime" / number / "model.onnx"
        first = (folder / "edgeopt-out" / "net" / place).read_bytes()
        assert (folder / "again" / place).read_bytes() == first
    ran = json.loads(again.stdout)["jobs"]["ran"]
    assert not any("quantize" in job or "simplify" in job for job in ran), "the store had them"


def test_a_network_that_a_function_builds_needs_no_recipe(folder: Path) -> None:
    """Plans alone: exports and what follows, for what is not there yet."""
    (folder / "net.py").write_text(NET)
    x = np.zeros((32, 1, 3, 4), np.float32)
    np.savez(folder / "t.npz", **{"validation.input": x, "validation.label": np.arange(32) % 3})
    done = run(folder, "plan", "net.py:make", "--data", "t.npz", "--json")
    assert done.returncode == 0, done.stderr
    assert "export-onnx" in done.stdout and "fp16" in done.stdout
    wrong = run(folder, "plan", "net.onnx", "--data", "d.npz", "--weights", "w.safetensors")
    assert wrong.returncode == 2 and "FILE.py:NAME" in wrong.stderr
    both = run(folder, "init", "net.onnx", "--data", "d.npz")
    assert both.returncode == 0, both.stderr
    told = run(folder, "plan", "recipe.yaml", "--label", "kinds")
    assert told.returncode == 2 and "data.label" in told.stderr
