"""Processes killed while a winner is scored on the test split: once it is tried again, twice the
winner is reported as not tested."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from e2e_project import Project
from onnx_project import SAMPLES, tiny_project

METRIC = f"""\
import os
from pathlib import Path

LEFT = Path(__file__).with_name("kills")


def missed(outputs, labels):
    kills = int(LEFT.read_text())
    if len(labels) == {SAMPLES["test"]} and kills:
        LEFT.write_text(str(kills - 1))
        os.kill(os.getpid(), 9)
    return 0.5
"""
OWN = 'objective: size\nmetrics: [accuracy, {name: missed, function: "own.py:missed"}]'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return tiny_project(tmp_path)


def kill_agents(process: Any, err: list[str], count: float) -> int:
    """Kill the next ``count`` agents from the test of the winner on; how many there were."""
    testing, killed = threading.Event(), set[int]()

    def listen() -> None:
        for line in process.stderr:
            err.append(line)
            if "on the test split" in line:
                testing.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert testing.wait(120), "".join(err)
    parent = psutil.Process(process.pid)
    while process.poll() is None and len(killed) < count:
        try:
            for child in parent.children(recursive=True):
                if "edgeopt.agent" in " ".join(child.cmdline()) and child.pid not in killed:
                    child.kill()
                    killed.add(child.pid)
        except psutil.Error:
            pass
        time.sleep(0.002)
    process.wait(120)
    listener.join()
    return len(killed)


@pytest.mark.parametrize(("kills", "code"), [(1, 0), (float("inf"), 4)])
def test_agents_killed_while_source_and_winner_are_tested(
    project: Project, kills: float, code: int
) -> None:
    process = project.start("optimize", "recipe.yaml", "--quick", "--out", "out")
    err: list[str] = []
    killed = kill_agents(process, err, kills)
    said = "".join(err)
    assert process.returncode == code, said
    target = checked(project, said, code)
    assert killed == 1 if code == 0 else killed >= 2
    if code:
        assert "not tested: worker lost: " in target["sentence"]


def test_a_worker_killed_twice_in_a_metric_of_the_users(project: Project) -> None:
    (project.folder / "own.py").write_text(METRIC)
    (project.folder / "kills").write_text(
        "2"
    )  # the source's and the winner's answers are equal: one job
    project.edit("recipe.yaml", "objective: size", OWN)
    done = project.run("optimize", "recipe.yaml", "--quick", "--out", "out")
    assert done.returncode == 4, done.stderr
    target = checked(project, done.stderr, 4)
    lost = "not tested: worker lost: the worker 'user' that ran metric was killed by SIGKILL"
    assert lost in target["sentence"]
    assert lost in " ".join(done.stdout.split())
    assert lost in (project.folder / "out" / "report.html").read_text().replace("&#39;", "'")


def checked(project: Project, said: str, code: int) -> dict[str, Any]:
    """The result's only target, decided whether the test was lost or not."""
    assert "Traceback" not in said
    assert project.left_behind() == []
    result = json.loads((project.folder / "out" / "result.json").read_text())
    assert result["exit_code"] == code
    assert any("the test of the winner was run once more" in note for note in result["notes"])
    (target,) = result["targets"]
    assert target["verdict"] == ("inconclusive" if code else "chosen")
    chosen = next(c for c in target["candidates"] if c["id"] == target["chosen"])
    assert (chosen["status"], chosen["label"]) == ("chosen", "simplify-onnx")
    assert ("measurements" in target["test"]) == (code == 0)
    return dict(target)
