"""Where a Python of some version is on this machine: on PATH, of pyenv, of uv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ASK = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
PATIENCE_S = 30.0


def interpreter_of(version: str) -> Path | None:
    """A Python of that version, such as ``3.12``, which can make environments; None without one.

    The first of: the one that runs now, those on PATH, pyenv's, uv's. Each is asked, since what
    is called ``python3.12`` on PATH may be a shim that refuses to run.
    """
    return next((path for path in _candidates(version) if _answers(path, version)), None)


def how_to_install(version: str) -> str:
    """Commands that would bring it, in words."""
    return f"install it, e.g. by 'uv python install {version}' or 'pyenv install {version}'"


def _candidates(version: str) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield Path(sys.executable)
    for name in (f"python{version}", "python3", "python"):
        if found := shutil.which(name):
            yield Path(found)
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    patches = sorted(root.glob(f"versions/{version}.*/bin/python{version}"), key=_patch)
    yield from reversed(patches)
    if uv := shutil.which("uv"):
        asked = [uv, "python", "find", "--no-python-downloads", version]
        if found := _said(asked):
            yield Path(found)


def _patch(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.parent.parent.name.split(".") if part.isdigit())


def _answers(path: Path, version: str) -> bool:
    return _said([str(path), "-I", "-c", ASK]) == version


def _said(command: list[str]) -> str:
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout.strip()
    return ""
