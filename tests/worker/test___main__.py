"""The worker's process alone: its pipes, its end, and what it may import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeopt.schema.job import Job, Request
from edgeopt.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def start(name: str = "core") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "edgeopt.worker", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def request(store: Store, workdir: Path, path: Path) -> str:
    job = Job(
        id="data",
        kind="data",
        name="npz",
        params={"split": "test", "select": "test", "inputs": {"x": "x"}, "labels": []},
        where={"path": str(path)},
    )
    asked = Request(job=job, inputs={}, store=str(store.root), workdir=str(workdir), key="k")
    return json.dumps(asked.to_json()) + "\n"


def test_a_line_in_is_answered_by_a_line_out(store: Store, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **{"test.x": np.ones((3, 2), np.float32)})
    with start() as worker:
        assert worker.stdin and worker.stdout
        for path, status in [("data.npz", "ok"), ("missing.npz", "failed"), ("data.npz", "ok")]:
            worker.stdin.write(request(store, tmp_path, tmp_path / path))
            worker.stdin.flush()
            outcome = json.loads(worker.stdout.readline())["outcome"]
            assert (outcome["job"], outcome["status"], outcome["key"]) == ("data", status, "k")
        assert outcome["value"]["n"] == 3
        worker.kill()


def test_the_end_of_its_input_is_its_own(store: Store) -> None:
    with start() as worker:
        output, _ = worker.communicate(timeout=60)
    assert output == ""
    assert worker.returncode != 0
    assert store.ls().blobs == 0


def test_the_current_folder_is_not_on_its_path(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    worker = subprocess.run(
        [sys.executable, "-P", "-m", "edgeopt.worker", "core"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert "shadowed" not in worker.stderr


def test_the_parent_side_imports_nothing_heavy() -> None:
    heavy = ["torch", "onnx", "onnxruntime", "onnxsim", "scipy", "rich", "numpy"]
    script = (
        "import sys, edgeopt.engine, edgeopt.store, edgeopt.worker.loop\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
