"""The Keras format as the planner sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.models.python_files import FILE_NAME, code_files
from edgeopt.schema.errors import ModelError, UsageError

QUANTIZED = "keras-int8"  # a fact: quantized by Keras' own quantize("int8")


class KerasDeclared:
    """Where a model's files lie; the rest is in ``format.json``."""

    def sources(self, spec: Mapping[str, Any], root: Path) -> dict[str, Path]:
        """The model file, and the files that define its own classes. Raises ModelError."""
        path = root / spec["path"]
        if not path.is_file():
            what = "the model is not a file" if path.exists() else "no such model file"
            raise ModelError(what, where=str(path))
        return {"model": path, **code_files(own_files(spec), root)}


def own_files(spec: Mapping[str, Any]) -> list[str]:
    """The files of ``custom_objects``. Raises UsageError for what is not ``FILE.py:NAME``."""
    for named in spec.get("custom_objects") or ():
        if not FILE_NAME.fullmatch(named):
            raise UsageError(f"the custom object '{named}' is not FILE.py:NAME")
    return list(dict.fromkeys(n.partition(":")[0] for n in spec.get("custom_objects") or ()))
