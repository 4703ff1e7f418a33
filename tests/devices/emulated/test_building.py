"""The emulation is made, repaired, and left as it was when interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeopt.devices.emulated import building
from edgeopt.devices.emulated.folder import broken, manifest

EDGEOPT = Path(sys.executable).with_name("edgeopt")


@pytest.mark.long
def test_a_changed_file_is_found_and_made_again(
    emulation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a copy: tests in other processes run what is in the folder."""
    emulation = shutil.copytree(emulation, tmp_path / "emulated", symlinks=True)
    monkeypatch.setenv("EDGEOPT_EMULATION", str(emulation))
    noted = manifest(emulation)
    assert len(noted["unpacked"]) > 1000 and len(noted["downloads"]) > 40
    name = next(n for n in noted["unpacked"] if n.endswith("numpy/__init__.py"))
    (emulation / name).write_text("raise SystemExit('changed')\n")
    assert broken(emulation, "unpacked") == [name]
    done = subprocess.run([EDGEOPT, "devices", "setup", "emulated", "--json"], check=True,
                          capture_output=True, text=True)  # fmt: skip
    told = json.loads(done.stdout)
    assert (told["state"], told["repaired"]) == ("repaired", [name])
    assert manifest(emulation)["unpacked"] == noted["unpacked"]
    assert building.setup(emulation, tell=lambda _text: None)["state"] == "sound"


@pytest.mark.long
def test_an_interrupted_set_up_leaves_nothing_half_made(tmp_path: Path) -> None:
    place = tmp_path / "emulated"
    for _ in range(5):  # a busy machine may see the line only once all is done
        process = subprocess.Popen(
            [EDGEOPT, "devices", "setup", "emulated"],
            env={**os.environ, "EDGEOPT_EMULATION": str(place)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        assert any("downloading" in line for line in process.stderr)
        os.killpg(process.pid, signal.SIGINT)
        if process.wait(60) == 130:
            break
        shutil.rmtree(place)
    assert process.returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == [".emulated.lock"]
