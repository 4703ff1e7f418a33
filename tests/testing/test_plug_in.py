"""The package of docs/plug-ins.md, really installed, is held to the kits by its own test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgeopt

PAGE = Path(__file__).parents[2] / "docs" / "plug-ins.md"
BLOCK = re.compile(r"```(?:toml|python)\n# (\S+)\n(.*?)```", re.DOTALL)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The files that the page shows."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name, text in BLOCK.findall(PAGE.read_text()):
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def environment(package: Path, tmp_path: Path) -> dict[str, str]:
    """Where the package is installed, and this environment is ``venv:other``."""
    site, venvs = tmp_path / "site", tmp_path / "venvs"
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options]
    ran([*pip, "--target", str(site), str(package)], tmp_path, dict(os.environ))
    venvs.mkdir()
    (venvs / "other").symlink_to(sys.prefix)
    home = Path(edgeopt.__file__).parents[1]
    found = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{home}", "VENVS": str(venvs)}
    return {name: value for name, value in found.items() if not name.startswith("PYTEST_")}


def ran(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_an_installed_package_is_held_to_the_kits(
    package: Path, environment: dict[str, str]
) -> None:
    (package / "edgeopt_extra.py").unlink()  # only what is installed is found
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_extra.py"]
    told = ran([sys.executable, *words], package, environment)
    assert "30 passed" in told, told  # three forms of a pass, and a device


def test_edgeopt_lists_what_is_installed(package: Path, environment: dict[str, str]) -> None:
    told = ran(
        [sys.executable, "-c", "from edgeopt.cli import main; main()", "passes"],
        package,
        environment,
    )
    assert "round-weights" in told and "packs better" in told
