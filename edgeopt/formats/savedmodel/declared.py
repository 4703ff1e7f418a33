"""The SavedModel format as the planner sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.schema.errors import ModelError

MODEL = "saved_model.pb"
PARTS = (MODEL, "fingerprint.pb", "variables", "assets")  # other files beside them are not its own
MOST_FILES = 10_000


class SavedModelDeclared:
    """Where a model's files lie; the rest is in ``format.json``."""

    def sources(self, spec: Mapping[str, Any], root: Path) -> dict[str, Path]:
        """Every file of the folder by its path in it. Raises ModelError."""
        folder = folder_of(root / spec["path"])
        files = {}
        for name in PARTS:
            place = folder / name
            found = sorted(place.rglob("*")) if place.is_dir() else [place]
            for path in found[:MOST_FILES]:
                if path.is_symlink():
                    raise ModelError("a SavedModel holds no links", where=str(path))
                if path.is_file():
                    files[path.relative_to(folder).as_posix()] = path
        return files


def folder_of(path: Path) -> Path:
    """The folder of a SavedModel, given it or its ``saved_model.pb``. Raises ModelError."""
    folder = path.parent if path.name == MODEL else path
    if not (folder / MODEL).is_file():
        what = "no such model" if not path.exists() else f"the folder holds no {MODEL}"
        raise ModelError(what, where=str(path))
    return folder
