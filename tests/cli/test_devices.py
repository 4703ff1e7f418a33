"""The commands that list and probe devices, on one that is a script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EDGEOPT = Path(sys.executable).with_name("edgeopt")
LAB = Path(__file__).parents[1] / "devices" / "lab_board.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with a devices file: ``exec:lab`` answers, ``exec:lost`` does not."""
    commands = {"lab": {"command": [sys.executable, str(LAB)]}, "lost": {"command": ["false"]}}
    (tmp_path / "devices.yaml").write_text(json.dumps({"exec": commands}))
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "EDGEOPT_STORE": str(folder / "store"),
           "EDGEOPT_DEVICES": str(folder / "devices.yaml")}  # fmt: skip
    return subprocess.run([str(EDGEOPT), "devices", *words], cwd=folder, env=env,
                          capture_output=True, text=True, timeout=120)  # fmt: skip


def test_what_is_configured_is_listed_and_nothing_is_asked(folder: Path) -> None:
    told = json.loads(run(folder, "list", "--json").stdout)
    assert [each["device"] for each in told] == ["local", "exec:lab", "exec:lost"]
    shown = run(folder, "list")
    assert shown.returncode == 0 and "exec:lost" in shown.stdout and "false" in shown.stdout


def test_a_probe_says_what_a_device_says_of_itself(folder: Path) -> None:
    told = json.loads(run(folder, "probe", "exec:lab", "--json").stdout)
    assert (told["device"], told["machine"]["isa"]) == ("exec:lab", "lab")
    shown = run(folder, "probe", "exec:lab")
    assert shown.returncode == 0 and "unknown CPU, 2 cores" in shown.stdout
    assert "not reported" in shown.stdout and "onnxruntime" in shown.stdout


def test_a_device_out_of_reach_is_one_error(folder: Path) -> None:
    done = run(folder, "probe", "exec:lost")
    assert done.returncode == 1 and done.stderr.startswith("edgeopt: error: exec:lost: ")
    told = json.loads(run(folder, "probe", "exec:lost", "--json").stdout)
    assert told["error"]["type"] == "UnreachableError" and told["error"]["where"] == "exec:lost"
