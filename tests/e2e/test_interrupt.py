"""Kills and interrupts: nothing is left running, the store stays sound, the rerun agrees."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from e2e_project import Project
from onnx_project import tiny_project


@pytest.fixture
def project(cold_project: Project) -> Project:
    """A store that holds nothing yet."""
    return cold_project


def chosen(result: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The choice: its chain and the digests of its files."""
    target = result["targets"][0]
    found = next(c for c in target["candidates"] if c["id"] == target["chosen"])
    return found["label"], found["artifact"]["files"]


def workers(parent: int, module: str) -> list[psutil.Process]:
    try:
        children = psutil.Process(parent).children(recursive=True)
        return [p for p in children if module in " ".join(p.cmdline())]
    except psutil.Error:
        return []


@pytest.mark.long
def test_a_worker_killed_in_a_pass_loses_its_candidate_by_name(project: Project) -> None:
    process = project.start("optimize", "recipe.yaml", "--quick", "--json", "--out", "out")
    killed = False
    deadline = time.monotonic() + 120
    while not killed and process.poll() is None and time.monotonic() < deadline:
        for worker in workers(process.pid, "edgeopt.worker"):
            files = " ".join(open_files(worker))
            if "onnxsim" in files:
                worker.kill()
                killed = True
        time.sleep(0.01)
    out, err = process.communicate(timeout=300)
    assert killed, err
    assert process.returncode == 0, err
    hurt = json.loads(out)
    lost = [c for c in hurt["targets"][0]["candidates"] if c["status"] == "failed"]
    assert lost
    assert any("simplify-onnx" in c["label"] for c in lost)
    assert all(c["reason"] for c in lost)
    assert project.left_behind() == []
    healed = project.optimize()
    assert not healed["jobs"]["failed"]
    whole = Project(project.folder, project.store.with_name("other-store")).optimize()
    assert chosen(healed) == chosen(whole)


def open_files(process: psutil.Process) -> list[str]:
    """Paths that a process has mapped into its memory: its extension modules among them."""
    try:
        return [m.path for m in process.memory_maps()]
    except (psutil.Error, OSError):
        return []


@pytest.mark.long
@pytest.mark.parametrize("count", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_interrupts_at_random_moments(project: Project, count: int) -> None:
    reference = Project(project.folder, project.store.with_name("reference-store"))
    start = time.monotonic()
    whole = reference.optimize()
    span = time.monotonic() - start
    rng = random.Random(20)
    moments = [rng.uniform(0.0, span) for _ in range(count)]
    for moment in moments:
        process = project.start("optimize", "recipe.yaml", "--quick", "--out", "out")
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode in (0, 130), (moment, err)
        assert "Traceback" not in err, err
        assert project.left_behind() == []
        verified = project.run("cache", "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert not list(project.folder.glob("out/.staged-*"))
    after = project.optimize()
    assert chosen(after) == chosen(whole)
    assert project.left_behind() == []


def test_two_equal_runs_at_once_build_everything_once(tmp_path: Path) -> None:
    project = tiny_project(tmp_path)
    runs = [
        project.start("optimize", "recipe.yaml", "--no-bench", "--json", "--out", out)
        for out in ("one", "two")
    ]
    results = []
    for process in runs:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        results.append(json.loads(out))
    one, two = (set(result["jobs"]["ran"]) for result in results)
    assert one | two and not one & two
    assert all(one | two == {*r["jobs"]["ran"], *r["jobs"]["cached"]} for r in results)
    assert chosen_files(results[0]) == chosen_files(results[1])
    assert project.left_behind() == []
    assert not list((project.store / "claims").iterdir())


def chosen_files(result: dict[str, Any]) -> list[dict[str, str]]:
    return [c["artifact"]["files"] for c in result["targets"][0]["candidates"]]
