"""A whole ARM board: an sshd whose every command runs in an emulated aarch64 userland."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import arm_userland
import pytest
from e2e_project import MODEL, Project, make_project
from loopback import Board, board

from edgeopt.testing.devices import DeviceConformance
from edgeopt.transport.kinds import device_named

pytestmark = pytest.mark.long
AARCH64 = 0xB7  # e_machine of an ELF header
BUILT = Path(__file__).parents[2] / ".cache" / "arm-userland"
RECIPE = """\
model: source.onnx
data:
  source: samples.npz
  inputs: {image: images}
  label: label
  splits: {calibration: train, validation: "validation[:64]", test: "test[:64]"}
  preprocess: [{scale: 255}, {normalize: {mean: 0.286, std: 0.353}}]
targets: ["ssh:board/onnxruntime"]
objective: size
constraints: ["accuracy >= source - 30pt"]
passes: [{quantize-int8: {scheme: auto}}]
"""


@pytest.fixture(scope="module")
def arm() -> Iterator[Board]:
    BUILT.mkdir(parents=True, exist_ok=True)
    arm_userland.build(BUILT)
    with board(home_there=arm_userland.HOME) as made:
        script = made.folder / "arm.sh"
        script.write_text(arm_userland.command(BUILT, made.home))
        script.chmod(0o755)
        made.stop()
        made.more = f"ForceCommand {script}"
        made.start()
        with pytest.MonkeyPatch.context() as patch:
            devices = made.devices(python="/usr/bin/python3", env="{PYTHONPATH: /site}")
            patch.setenv("EDGEOPT_DEVICES", str(devices))
            yield made


def said(arm: Board, command: str) -> bytes:
    words = ["ssh", "-F", str(arm.folder / "ssh_config"), "board-alias", command]
    return subprocess.run(words, check=True, capture_output=True).stdout


@pytest.mark.usefixtures("arm")
class TestArm(DeviceConformance):
    @pytest.fixture
    def target(self) -> str:
        return "ssh:board/onnxruntime"


def test_the_agent_there_is_an_arm_program(arm: Board) -> None:
    assert said(arm, "uname -m") == b"aarch64\n"
    hello = device_named("ssh:board").hello()
    assert hello.machine.isa == "aarch64-asimddp" and "asimd" in hello.machine.features
    header = said(arm, f"head -c 20 {hello.executable}")
    assert header[:4] == b"\x7fELF"
    assert int.from_bytes(header[18:20], "little") == AARCH64


@pytest.mark.slow
def test_a_model_is_optimized_for_the_board(arm: Board, tmp_path: Path) -> None:
    project: Project = make_project(tmp_path)
    shutil.copy(MODEL / "source.onnx", project.folder)
    project.write(RECIPE)
    project.extra["EDGEOPT_DEVICES"] = os.environ["EDGEOPT_DEVICES"]
    words = ("optimize", "recipe.yaml", "--quick", "--json", "--out", "out")
    done = project.run(*words, timeout=600)
    assert done.returncode == 0, done.stderr
    (target,) = json.loads(done.stdout)["targets"]
    assert target["verdict"] == "chosen" and target["machine"]["isa"] == "aarch64-asimddp"
    labels = [c["label"] for c in target["candidates"] if "quantize-int8" in c["label"]]
    assert labels and not any("u8s8-reduced" in label for label in labels), "no scheme of x86"
    arm.nothing_left()
    assert project.left_behind() == []
