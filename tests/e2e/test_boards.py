"""The whole command on boards behind a real sshd, beside this machine and without it."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_project import MODEL, Project
from loopback import Board, board, eventually

pytestmark = pytest.mark.long  # needs programs of Debian's: see CONTRIBUTING.md

ONNX = """\
model: source.onnx
data:
  source: samples.npz
  inputs: {image: images}
  label: label
  splits: {calibration: train, validation: validation, test: test}
  preprocess: [{scale: 255}, {normalize: {mean: 0.286, std: 0.353}}]
targets: [TARGETS]
objective: size
constraints: ["accuracy >= source - 10pt"]
passes:
  - one_of: [none, {quantize-int8: {scheme: u8s8-reduced}}]
"""
GONE = "  gone: {host: 127.0.0.1, port: 1}\n"


@pytest.fixture
def reached() -> Iterator[Board]:
    with board() as made:
        yield made


@pytest.fixture
def project(project: Project, reached: Board) -> Project:
    """A project with an ONNX model and two boards: one that is there, one that is not."""
    project.short = False
    shutil.copy(MODEL / "source.onnx", project.folder)
    path = reached.devices()
    path.write_text(path.read_text() + GONE)
    project.extra["EDGEOPT_DEVICES"] = str(path)
    return project


def ask(project: Project, *targets: str) -> tuple[str, ...]:
    project.write(ONNX.replace("TARGETS", ", ".join(f'"{t}"' for t in targets)))
    return ("optimize", "recipe.yaml", "--quick", "--json", "--out", "out")


def figures(candidate: dict[str, Any]) -> dict[str, float]:
    return {name: m["value"] for name, m in candidate["measurements"].items()}


def test_boards_are_decided_beside_this_machine_and_one_that_is_gone_is_named(
    project: Project, reached: Board
) -> None:
    targets = ("ssh:gone/onnxruntime", "local/onnxruntime", "ssh:board/onnxruntime")
    done = project.run(*ask(project, *targets))
    assert done.returncode == 5, done.stderr
    result = json.loads(done.stdout)
    assert [t["target"] for t in result["targets"]] == list(targets)
    gone, local, there = result["targets"]
    assert (gone["verdict"], gone["exit_code"], gone["candidates"]) == ("unreachable", 5, [])
    assert "nothing listens there" in gone["sentence"] and "gone" in done.stderr
    assert [local["verdict"], there["verdict"]] == ["chosen", "chosen"]
    for mine, theirs in zip(local["candidates"], there["candidates"], strict=True):
        assert mine["label"] == theirs["label"]
        assert figures(mine)["accuracy"] == figures(theirs)["accuracy"], "the same CPU"
        assert set(figures(mine)) == set(figures(theirs))
        assert theirs["measurements"]["latency.p50"]["machine"].startswith("ssh:board/onnx")
        (parity,) = theirs["parity"]
        assert (parity["device"], parity["yardstick"]) == ("ssh:board", "the host")
        assert (parity["worst"], parity["flips"]) == (0.0, 0) and parity["n"] <= 256
    for folder in ("local-onnxruntime", "ssh-board-onnxruntime"):
        assert list((project.folder / "out" / "best" / folder).iterdir())
    assert "Unreachable" in (project.folder / "out" / "report.html").read_text()
    shown = project.run("report", "out")
    assert shown.returncode == 0 and "unreachable" in shown.stdout
    reached.nothing_left()
    assert project.left_behind() == []


@pytest.mark.long
def test_files_race_on_a_board(project: Project, reached: Board) -> None:
    targets = ("--target", "ssh:board/onnxruntime", "--target", "ssh:gone/onnxruntime")
    done = project.run("benchmark", "source.onnx", "--json", *targets)
    assert done.returncode == 5, done.stderr
    result = json.loads(done.stdout)
    (raced,) = result["targets"]
    (file,) = raced["files"]
    assert set(file["placement"]) == {"CPUExecutionProvider"}
    assert file["measurements"]["memory.peak"]["value"] > 0
    assert "nothing listens" in result["unreachable"]["ssh:gone/onnxruntime"]["what"]
    reached.nothing_left()


def test_all_boards_gone_is_an_error(project: Project) -> None:
    done = project.run(*ask(project, "ssh:gone/onnxruntime"))
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert (error["type"], error["where"]) == ("UnreachableError", "ssh:gone")
    assert not (project.folder / "out").exists()


@pytest.mark.long
def test_a_board_that_is_lost_in_the_middle_leaves_the_others_decided(
    project: Project, reached: Board
) -> None:
    command = ask(project, "local/onnxruntime", "ssh:board/onnxruntime")

    def cut() -> None:
        eventually(lambda: len(reached.agents()) > 1, "no agent was ever started", 120)
        reached.cut(listener=True)

    cutter = threading.Thread(target=cut)
    cutter.start()
    done = project.run(*command)
    cutter.join()
    assert done.returncode == 5, done.stderr
    local, there = json.loads(done.stdout)["targets"]
    assert (local["verdict"], there["verdict"]) == ("chosen", "unreachable")
    assert {c["status"] for c in there["candidates"]} <= {"unmeasured"}
    reached.nothing_left()
    assert project.left_behind() == []


def test_an_interrupt_leaves_nothing_there_nor_here(project: Project, reached: Board) -> None:
    sockets = set(Path(tempfile.gettempdir()).glob("eo-*"))
    process = project.start(*ask(project, "ssh:board/onnxruntime"))
    eventually(lambda: len(reached.agents()) > 1, "no agent was ever started", 120)
    process.send_signal(signal.SIGTERM)  # as Ctrl-C; that one may be ignored in the background
    assert process.wait(60) == 130
    reached.nothing_left()
    assert project.left_behind() == []
    assert set(Path(tempfile.gettempdir()).glob("eo-*")) == sockets


def test_devices_are_listed_probed_and_checked(project: Project, reached: Board) -> None:
    listed = project.run("devices", "list", "--json")
    assert [d["device"] for d in json.loads(listed.stdout)] == ["local", "ssh:board", "ssh:gone"]
    probed = json.loads(project.run("devices", "probe", "ssh:board", "--json").stdout)
    assert probed["machine"]["cores"] >= 1 and "onnxruntime" in probed["runtimes"]
    assert "onnxruntime" in project.run("devices", "probe", "ssh:board").stdout
    checked = project.run("devices", "check", "ssh:board", "--json")
    assert checked.returncode == 0, checked.stdout
    assert {c["ok"] for c in json.loads(checked.stdout)} == {True}
    gone = project.run("devices", "probe", "ssh:gone", "--json")
    assert gone.returncode == 1 and "nothing listens" in gone.stdout
    ask(project, "ssh:gone/onnxruntime", "ssh:board/onnxruntime")
    planned = project.run("plan", "recipe.yaml")
    assert planned.returncode == 0 and "out of reach: ssh:gone" in planned.stdout
    other = project.folder / "other.yaml"
    other.write_text("ssh: {only: {hots: here}}\n")
    wrong = project.run("devices", "list", "--devices", "other.yaml")
    assert wrong.returncode == 2 and "other.yaml:1" in wrong.stderr
    assert "Did you mean 'host'?" in wrong.stderr
    told = json.loads(project.run("doctor", "--json").stdout)["devices"]
    assert told["configured"] == ["ssh:board", "ssh:gone"] and not told["error"]
    reached.nothing_left()
