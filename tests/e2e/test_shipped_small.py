"""The small networks that are shipped beside the source, and the script that scores them again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


TASKS = ("fashion_mnist", "imu")


def stated(task: str) -> set[str]:
    """Files whose accuracy is stated, which are all that are there."""
    folder = ROOT / "models" / task / "compressed"
    figures = sorted(folder.glob("figures.*.json"))
    found = {name for each in figures for name in json.loads(each.read_text())["files"]}
    assert {path.name for path in folder.iterdir()} == found | {path.name for path in figures}
    return found


def alike(task: str) -> set[str]:
    """Those whose kernels answer alike on every CPU; all of them take minutes."""
    return {n for n in stated(task) if n.startswith("pruned+distilled.") and "onnx" not in n}


@pytest.fixture(scope="module")
def scored() -> subprocess.CompletedProcess[str]:
    """The script, asked for the files of both tasks, which share their names, at once."""
    names = sorted(set.union(*map(alike, TASKS)))
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "recompute.py"), *names],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_shipped_files_have_the_accuracy_that_is_stated(
    task: str, scored: subprocess.CompletedProcess[str]
) -> None:
    assert scored.returncode == 0, scored.stdout + scored.stderr
    names = alike(task)
    assert names
    assert scored.stdout.count(f"{task}/") == len(names)


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
