"""A user's own command as a device: an independent script that answers two requests."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgeopt.schema.errors import UnreachableError, UsageError
from edgeopt.schema.target import parse_target
from edgeopt.testing.devices import DeviceConformance, Place, run_small
from edgeopt.transport.kinds import device_named

SCRIPT = Path(__file__).with_name("lab_board.py")
TARGET = "exec:lab/onnxruntime"


def devices(folder: Path, *command: str) -> Path:
    path = folder / "devices.yaml"
    path.write_text(f"exec: {{lab: {{command: {json.dumps(list(command))}}}}}\n")
    return path


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = devices(tmp_path, sys.executable, str(SCRIPT))
    monkeypatch.setenv("EDGEOPT_DEVICES", str(path))
    return path


class TestExec(DeviceConformance):
    @pytest.fixture
    def target(self) -> str:
        return TARGET


def test_the_script_knows_nothing_of_edgeopt() -> None:
    assert "import edgeopt" not in SCRIPT.read_text()
    assert "from edgeopt" not in SCRIPT.read_text()


def test_it_races_and_tells_no_memory(place: Place) -> None:
    facts = device_named("exec:lab").facts(parse_target(TARGET))
    assert facts.isa == "lab" and "memory" not in facts.quantities
    value = run_small(place, "race", TARGET)
    assert value["ratio"]["latency.p50"]["value"] > 0
    assert value["a"]["load_time"]["value"] > 0
    assert value["placement"]["a"] == {"CPUExecutionProvider": 1}
    with pytest.raises(UsageError, match="does not measure memory"):
        run_small(place, "race", TARGET, protocol="memory")


@pytest.mark.parametrize("command", [("/no/such",), ("false",), ("cat", "/dev/zero"), ("\0",)])
def test_a_command_that_does_not_work_is_named(lab: Path, command: tuple[str, ...]) -> None:
    devices(lab.parent, *command)
    with pytest.raises(UnreachableError) as caught:
        device_named("exec:lab").hello()
    assert caught.value.where == "exec:lab"
