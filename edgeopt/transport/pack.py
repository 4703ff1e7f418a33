"""The agent as one file: a zip that any Python 3.8 or later runs, ``python agent.pyz FOLDER``."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import edgeopt.agent
from edgeopt.schema.runtime import plugged_in

PACKAGE = "edgeopt_agent"  # what edgeopt.agent is called where edgeopt is not installed
MAIN = f"from {PACKAGE}.__main__ import main\n\nmain()\n"
JOB_MAIN = f"from {PACKAGE}.job import main\n\nmain()\n"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same sources make the same bytes


def archive(main: str, beside: Mapping[str, bytes]) -> bytes:
    """A zip app of the agent's package, with files beside it; the same for the same sources.

    Runtimes that other distributions bring travel with it, below its ``sessions``.
    """
    root = Path(edgeopt.agent.__file__).parent
    content = _files(root, PACKAGE)
    for name, package in plugged_in().items():
        content |= _files(package.folder, f"{PACKAGE}/sessions/{name}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in {"__main__.py": main.encode(), **content, **beside}.items():
            file.writestr(zipfile.ZipInfo(name, EPOCH), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _files(root: Path, into: str) -> dict[str, bytes]:
    """Code and declarations below a folder, by their names in the archive."""
    paths = sorted(path for path in root.rglob("*") if path.suffix in (".py", ".json"))
    return {f"{into}/{path.relative_to(root).as_posix()}": path.read_bytes() for path in paths}


@cache
def agent_archive() -> bytes:
    """The agent alone."""
    return archive(MAIN, {})


def agent_digest() -> str:
    """SHA-256 of the agent's archive."""
    return hashlib.sha256(agent_archive()).hexdigest()
