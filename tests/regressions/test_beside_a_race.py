"""Beside another run's race on this machine, in the real command: who waits for it and who not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from passes_bench import network, samples

import edgeopt
from edgeopt.transport.lock import bench_lock

EDGEOPT = Path(sys.executable).with_name("edgeopt")
PATIENCE_S = 90.0  # many times what it takes, and less than a race that never ends


@pytest.fixture
def project(tmp_path: Path) -> Path:
    onnx.save(network(), tmp_path / "net.onnx")
    x = samples(32)
    np.savez(tmp_path / "d.npz", **{"train.x": x[:16], "validation.x": x[16:]})
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [("plan", "net.onnx", "--data", "d.npz"), ("inspect", "net.onnx")],
    ids=["plan", "inspect"],
)
def test_what_only_reads_does_not_wait(project: Path, words: tuple[str, ...]) -> None:
    env = {**os.environ, "EDGEOPT_STORE": str(project / "store")}
    with bench_lock(exclusive=True):
        done = subprocess.run([str(EDGEOPT), *words], cwd=project, env=env, capture_output=True,
                              text=True, timeout=PATIENCE_S)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "waiting" not in done.stderr


def test_the_best_of_a_run_without_a_folder_comes_out_of_the_store(project: Path) -> None:
    result = edgeopt.optimize(
        project / "net.onnx", data=project / "d.npz", race=False, store=project / "store",
        constraints=["fidelity.cosine >= 0.5"],
    )  # fmt: skip
    best = result.best()
    assert best.candidate.artifact is not None and best.candidate.status == "chosen"
    assert best.path.stat().st_size == best.candidate.artifact.size_bytes
    onnx.checker.check_model(onnx.load(best.path))
    assert result.best().path == best.path
