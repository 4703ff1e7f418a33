"""Standard streams that are full, closed or left early, and names that no file can have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

EDGEOPT = Path(sys.executable).with_name("edgeopt")
FULL = "edgeopt: error: cannot write to standard output: No space left on device\n  make room"
LONG = "n" * 300


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line in which ``edgeopt`` is the real command."""
    env = {
        **os.environ, "E": str(EDGEOPT), "EDGEOPT_STORE": str(folder / "store"), "LONG": LONG,
        "COLUMNS": "100",
    }  # fmt: skip
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("$E passes >/dev/full", 1, FULL),
        ("$E passes --json >/dev/full", 1, FULL),
        ("$E --help >/dev/full", 1, FULL),
        ("$E report result.json --format html >/dev/full", 2, "result.json: No such file"),
        ("$E passes >&-", 0, ""),
        ("$E --help >&- <&-", 0, ""),
        ("$E report nowhere 2>&-", 2, ""),
        ("$E report nowhere 2>/dev/full", 2, ""),
        ("$E report nowhere --format json >/dev/full 2>/dev/full", 2, ""),
        ("$E passes --json | true; exit ${PIPESTATUS[0]}", 1, ""),
        ("$E report $LONG$LONG$LONG", 2, "File name too long"),
        ("$E inspect $LONG.onnx", 2, "File name too long"),
        ("$E optimize $LONG.yaml", 2, "File name too long"),
        ("EDGEOPT_STORE=$LONG $E cache ls", 1, "File name too long"),
    ],
)
def test_a_stream_or_name_that_does_not_work_is_no_bug(
    tmp_path: Path, line: str, code: int, said: str
) -> None:
    done = shell(line, tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr and bool(done.stderr) == bool(said)
    assert "Traceback" not in done.stderr and "a bug in edgeopt" not in done.stderr
    assert len(done.stderr) < 1500


def test_nothing_is_written_into_what_took_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """Guards against a store whose lock is descriptor 1, into which the command prints."""
    done = shell("$E cache ls >&- 2>&- <&-", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "store" / "lock").read_bytes() == b""


def test_an_address_space_that_is_too_small_is_no_fault_of_the_model(tmp_path: Path) -> None:
    info = helper.make_tensor_value_info
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    sides = ([info(name, TensorProto.FLOAT, ["batch", 2])] for name in "xy")
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", *sides)), tmp_path / "m.onnx")
    done = shell("ulimit -v 200000; $E inspect m.onnx", tmp_path)
    assert done.returncode == 1
    assert "ran out of memory\n  free some memory, or raise the limit" in done.stderr
    assert "Traceback" not in done.stderr and "bug" not in done.stderr
