"""The TFLite format as the planner sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.schema.errors import ModelError

MODEL = "model.tflite"


class TfliteDeclared:
    """Where a model's files lie; the rest is in ``format.json``."""

    def sources(self, spec: Mapping[str, Any], root: Path) -> dict[str, Path]:
        """The model file. Raises ModelError where it is missing."""
        path = root / spec["path"]
        if not path.is_file():
            raise ModelError("no such model file", where=str(path))
        return {MODEL: path}
