"""Plug-ins of this folder, installed in a folder of its own as pip would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from edgeopt.agent import sessions
from edgeopt.schema.model_format import model_formats
from edgeopt.schema.plugged import every_point
from edgeopt.schema.runtime import runtimes
from edgeopt.transport.pack import agent_archive

HERE = Path(__file__).parent


REFERENCE = {"edgeopt.runtimes": {"onnx-reference": "onnx_reference"}}
LINEAR = {
    "edgeopt.runtimes": {"linear": "linear_runtime"},
    "edgeopt.formats": {"linear": "linear_format"},
}


def install(site: Path, name: str, points: Mapping[str, Mapping[str, str]]) -> Path:
    """Put the packages of ``points`` (group -> name -> package) into ``site``, with metadata."""
    for package in {package for named in points.values() for package in named.values()}:
        shutil.copytree(
            HERE / package, site / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    write_metadata(site, name, points)
    return site


def install_page(page: Path, site: Path, name: str) -> Path:
    """Put the files that a page of the documentation shows into ``site``, with its entry points."""
    text = page.read_text()
    for file, code in re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL):
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text(code)
    found = re.findall(r'```toml\n\[project\.entry-points\."(.*?)"\]\n(.*?)```', text, re.DOTALL)
    write_metadata(site, name, {g: dict(re.findall(r'(\w+) = "(.*)"', rows)) for g, rows in found})
    return site


def ran(site: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """A command that finds what is installed in ``site``, in the folder around it."""
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": path, "EDGEOPT_STORE": str(site.parent / "store")}
    return subprocess.run(command, cwd=site.parent, env=env, capture_output=True, text=True)


def write_metadata(site: Path, name: str, points: Mapping[str, Mapping[str, str]]) -> None:
    """The folder by which importlib.metadata finds a distribution and its entry points."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, named in points.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in named.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def forget() -> None:
    """Have this process look for declarations, and for the packages that hold them, anew."""
    for package in (each.name for each in HERE.iterdir() if each.is_dir()):
        sys.modules.pop(package, None)
    for cached in (every_point, runtimes, model_formats, sessions.declared, agent_archive):
        cached.cache_clear()
