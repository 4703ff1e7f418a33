"""The ONNX format as the planner sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.formats.onnx.sources import source_files


class OnnxDeclared:
    """Where a model's files lie; the rest is in ``format.json``."""

    def sources(self, spec: Mapping[str, Any], root: Path) -> dict[str, Path]:
        """The model file and the external data it names. Raises ModelError if one is missing."""
        return source_files(root / spec["path"])
