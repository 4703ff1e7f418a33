"""Commands that need no worker, and what becomes of errors, through the real command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cli_run import EDGEOPT, run

from edgeopt.cli.commands import COMMANDS
from edgeopt.store import Store


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_in_the_list_and_of_its_own(command: str, tmp_path: Path) -> None:
    whole = run("--help", cwd=tmp_path).stdout
    assert f"\n  {command} " in whole
    own = run(command, "--help", cwd=tmp_path)
    assert own.returncode == 0 and own.stdout.startswith(f"Usage: edgeopt {command}")


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout.startswith("edgeopt ")


@pytest.mark.parametrize(
    ("args", "code", "named"),
    [
        (("optimise",), 2, "optimize"),
        (("optimize",), 2, "RECIPE|MODEL"),
        (("optimize", "r.yaml", "--banch"), 2, "--no-bench"),
        (("optimize", "absent.yaml"), 2, "absent.yaml"),
        (("inspect", "absent.onnx"), 1, "absent.onnx"),
        (("inspect", "notes.txt"), 2, "notes.txt"),
        (("benchmark", "absent.onnx"), 1, "absent.onnx"),
        (("benchmark", "absent.onnx", "--target", "local/tflight"), 2, "tflight"),
        (("report", "nowhere"), 2, "nowhere"),
        (("passes", "quantise-int8"), 2, "quantize-int8"),
        (("cache", "gc", "--max-age", "soon"), 2, "--max-age"),
    ],
)
def test_wrong_calls_name_what_is_wrong(
    tmp_path: Path, args: tuple[str, ...], code: int, named: str
) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    done = run(*args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_traceback_is_shown_where_it_is_asked_for(tmp_path: Path) -> None:
    done = run("report", "nowhere", cwd=tmp_path, EDGEOPT_DEBUG="1")
    assert done.returncode == 2 and "Traceback" in done.stderr


def test_an_error_is_json_where_json_is_asked_for(tmp_path: Path) -> None:
    done = run("inspect", "absent.onnx", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["exit_code"] == done.returncode == 1
    assert "absent.onnx" in told["error"]["where"]


def test_the_cache_is_listed_verified_and_collected(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        digest = store.put_bytes(b"x" * 2000)
    listed = json.loads(run("cache", "ls", "--json", cwd=tmp_path).stdout)
    assert (listed["blobs"], listed["size_bytes"]) == (1, 2000)
    assert "1 blobs" in run("cache", "ls", cwd=tmp_path).stdout
    assert "all sound" in run("cache", "verify", cwd=tmp_path).stdout
    with Store(tmp_path / "store") as store:
        path = store.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"y" * 2000)
    found = run("cache", "verify", cwd=tmp_path)
    assert found.returncode == 1 and digest in found.stdout
    assert run("cache", "verify", "--json", cwd=tmp_path).returncode == 0
    collected = run("cache", "gc", "--max-size", "1 kB", "--json", cwd=tmp_path)
    assert json.loads(collected.stdout)["kept_bytes"] == 0


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{EDGEOPT} passes --json | head -c 1"], capture_output=True, text=True
    )
    assert done.stdout == "[" and done.stderr == ""
