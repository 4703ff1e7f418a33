"""``edgeopt doctor`` tells the truth about the environment that runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from edgeopt.api import doctor
from edgeopt.commands.doctor import extras
from edgeopt.schema.errors import PluginError


@pytest.mark.extras
def test_it_says_what_is_installed_and_reachable(tmp_path: Path) -> None:
    found = doctor(store=tmp_path / "store")
    assert json.loads(json.dumps(found)) == found
    for name in ("numpy", "onnx", "onnxruntime"):
        assert found["libraries"][name] == metadata.version(name)
    assert "torch" not in found["libraries"], "what an extra brings is no library of all"
    assert found["targets"]["local/onnxruntime"]["reachable"]
    found_on = {name: told["accelerators"] for name, told in found["targets"].items()}
    assert found_on["local/onnxruntime"]["cpu"] == "CPUExecutionProvider"
    assert set(found_on["local/litert"]) == {"cpu", "gpu", "npu"}
    assert found_on["local/openvino"]["cpu"] and found_on["local/torch"]["cpu"]
    assert found["extras"]["torch"]["installed"]
    assert list(found["extras"]) == [
        "torch",
        "openvino",
        "litert",
        "tensorflow",
        "images",
        "neural-compressor",
        "nncf",
        "isa",
        "litert-torch",
        "train",
    ]
    assert {name: told["adds"] for name, told in found["extras"].items()} == extras()
    assert found["machine"]["isa"].startswith(os.uname().machine)
    assert found["store"]["root"] == str(tmp_path / "store")
    assert found["store"]["free_bytes"] > 0


def run(tmp_path: Path, hidden: str) -> tuple[int, dict[str, Any]]:
    """The command in an interpreter whose metadata do not know a distribution."""
    script = f"""
import sys
from importlib import metadata
real = metadata.Distribution.from_name.__func__
def from_name(cls, name):
    if name == {hidden!r}:
        raise metadata.PackageNotFoundError(name)
    return real(cls, name)
metadata.Distribution.from_name = classmethod(from_name)
from edgeopt.cli import main
main(["doctor", "--json"])
"""
    env = {**os.environ, "EDGEOPT_STORE": str(tmp_path / "store")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.extras
def test_a_missing_extra_comes_with_its_command(tmp_path: Path) -> None:
    code, found = run(tmp_path, "onnxscript")
    assert code == 0
    assert found["extras"]["torch"] == {
        "installed": False,
        "missing": ["onnxscript"],
        "adds": extras()["torch"],
        "command": "pip install 'edgeopt[torch]'",
    }


def test_a_missing_library_is_a_problem(tmp_path: Path) -> None:
    code, found = run(tmp_path, "sympy")
    assert code == 1
    assert found["libraries"]["sympy"] == ""
    assert any("sympy" in problem for problem in found["problems"])


def test_a_pass_that_is_declared_wrongly_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise PluginError("the pass m.P is declared wrongly", where="the entry point 'p'")

    monkeypatch.setattr("edgeopt.commands.doctor.registry", broken)
    monkeypatch.setattr("edgeopt.commands.doctor._runtimes", dict)
    found = doctor(store=tmp_path / "store")
    assert found["problems"][0] == "the entry point 'p': the pass m.P is declared wrongly"
