"""Plug-ins of this folder, installed in a folder of its own as pip would."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from edgeopt.agent import sessions
from edgeopt.schema.model_format import model_formats
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
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, named in points.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in named.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return site


def forget() -> None:
    """Have this process look for declarations anew."""
    for cached in (runtimes, model_formats, sessions.declared, agent_archive):
        cached.cache_clear()
