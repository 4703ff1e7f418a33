"""The oldest board that is promised: Python 3.8 with tflite-runtime 2.14, behind a real sshd."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from e2e_project import RECIPE, make_project
from loopback import Board

from edgeopt.transport.kinds import device_named

pytestmark = pytest.mark.long
VENV = Path(__file__).parents[2] / ".cache" / "python38"
PASSES = """\
passes:
  - export-tflite: {}
  - one_of: [none, {quantize-int8: {scheme: static}}]
"""


def python38() -> Path:
    """An interpreter of Python 3.8: ``$PYTHON38``, or one of pyenv's."""
    if named := os.environ.get("PYTHON38"):
        return Path(named)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(pyenv.glob("versions/3.8.*/bin/python3.8"))
    assert found, "no Python 3.8: set PYTHON38, or 'pyenv install 3.8'"
    return found[-1]


@pytest.fixture(scope="module")
def old() -> Path:
    """Its environment with numpy and the runtime, made once."""
    python = VENV / "bin" / "python"
    if not (VENV / "done").exists():
        subprocess.run([str(python38()), "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "tflite-runtime==2.14.0", "numpy"], check=True)
        (VENV / "done").touch()
    return python


def test_a_model_is_optimized_for_it(old: Path, own_board: Board, tmp_path: Path) -> None:
    own_board.devices(python=str(old))
    hello = device_named("ssh:board").hello()
    assert hello.python.startswith("3.8.") and hello.runtimes == {"litert": "2.14.0"}
    assert "none of: onnxruntime" in hello.missing["onnxruntime"]
    project = make_project(tmp_path)
    project.write(RECIPE[: RECIPE.index("passes:")] + PASSES)
    project.edit("recipe.yaml", "[local/onnxruntime]", '["ssh:board/*", local/litert]')
    project.extra["EDGEOPT_DEVICES"] = os.environ["EDGEOPT_DEVICES"]
    words = ("optimize", "recipe.yaml", "--quick", "--json", "--out", "out")
    done = project.run(*words, timeout=600)
    assert done.returncode == 0, done.stderr
    there, here = json.loads(done.stdout)["targets"]
    assert there["machine"]["runtimes"] == {"litert": "2.14.0"}
    assert there["machine"]["python"].startswith("3.8.")
    assert there["verdict"] == "chosen"
    for mine, theirs in zip(here["candidates"], there["candidates"], strict=True):
        assert mine["label"] == theirs["label"]
        figures = [c["measurements"]["accuracy"]["value"] for c in (mine, theirs)]
        assert figures[0] == pytest.approx(figures[1], abs=0.05)
        assert theirs["measurements"]["ratio.latency.p50"]["value"] > 0
    own_board.nothing_left()
