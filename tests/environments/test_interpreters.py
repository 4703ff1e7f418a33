"""Where a Python of some version is: asked, not believed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgeopt.environments.interpreters import interpreter_of

HERE = "{}.{}".format(*sys.version_info)


def pretend(path: Path, says: str) -> Path:
    """A program that answers what a Python of another version would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


def test_the_one_that_runs_is_the_first() -> None:
    assert interpreter_of(HERE) == Path(sys.executable)


def test_a_shim_that_refuses_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyenv's shims stand on PATH for versions that are not chosen."""
    pretend(tmp_path / "bin" / "python3.99", "echo 'python3.99: command not found' >&2; exit 127")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert interpreter_of("3.99") is None
    kept = [
        pretend(tmp_path / "pyenv/versions" / patch / "bin/python3.99", "echo 3.99")
        for patch in ("3.99.9", "3.99.10")
    ]
    assert interpreter_of("3.99") == kept[-1], "the last patch, by number"


def test_one_of_another_version_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path / "python3.99", "echo 3.98")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    assert interpreter_of("3.99") is None


def test_uv_is_asked_last_and_downloads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pretend(tmp_path / "uv-pythons" / "python", "echo 3.99")
    script = f'case "$*" in *--no-python-downloads*) echo {found};; *) exit 1;; esac'
    pretend(tmp_path / "bin" / "uv", script)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    assert interpreter_of("3.99") == found
