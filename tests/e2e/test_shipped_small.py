"""The small networks that are shipped beside the source, and the script that scores them again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("task", ["fashion_mnist", "imu"])
def test_shipped_files_have_the_accuracy_that_is_stated(task: str) -> None:
    """Those whose kernels answer alike on every CPU; all of them take minutes."""
    folder = ROOT / "models" / task / "compressed"
    figures = sorted(folder.glob("figures.*.json"))
    stated = {name for each in figures for name in json.loads(each.read_text())["files"]}
    assert {path.name for path in folder.iterdir()} == stated | {path.name for path in figures}
    names = [name for name in stated if name.startswith("pruned+distilled.") and "onnx" not in name]
    assert names
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "recompute.py"), *names],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"{task}/") == len(names)


def test_shipped_tflite_files_are_those_that_the_passes_make() -> None:
    """Of a network over one axis, whose norms stay: made again, it scores as the shipped one."""
    asked = ["--task", "imu", "--row", "pruned + distilled", "--seed", "0", "--keep"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "requantize.py"), *asked],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (told,) = [line for line in done.stdout.splitlines() if "| pruned + distilled |" in line]
    pairs = [cell.split(" -> ") for cell in told.strip("| ").split(" | ")[2:]]
    assert len(pairs) == 4
    assert all(before == after for before, after in pairs)
