"""The command that says what ``optimize`` would do, and the one that does it, on a small model."""

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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    onnx.save(network(), tmp_path / "net.onnx")
    x = samples(32)
    np.savez(tmp_path / "d.npz", **{"train.x": x[:16], "validation.x": x[16:]})
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "EDGEOPT_STORE": str(folder / "store")}
    return subprocess.run(
        [str(EDGEOPT), *words], cwd=folder, env=env, capture_output=True, text=True, timeout=240
    )


def test_chains_are_drawn_as_a_tree_with_an_estimate(project: Path) -> None:
    done = run(project, "plan", "net.onnx", "--data", "d.npz")
    assert done.returncode == 0, done.stderr
    assert "local/onnxruntime" in done.stdout and "simplify-onnx" in done.stdout
    assert "= candidate" in done.stdout and "time, roughly" in done.stdout
    told = json.loads(run(project, "plan", "net.onnx", "--data", "d.npz", "--json").stdout)
    eligible = [each for each in told["plan"]["candidates"] if each["eligible"]]
    assert told["estimate"]["candidates"] == len(eligible) >= 2
    assert not (project / "edgeopt-out").exists(), "no pass ran"


def test_a_model_that_is_not_there_is_one_error(project: Path) -> None:
    for command in ("plan", "optimize"):
        done = run(project, command, "none.onnx", "--data", "d.npz")
        assert done.returncode == 1 and "none.onnx" in done.stderr
        assert "Traceback" not in done.stderr and done.stdout == ""
