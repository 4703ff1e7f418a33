"""The ONNX format as the planner sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.formats.onnx.sources import source_files


class OnnxDeclared:
    """Name, worker, libraries and sources."""

    name = "onnx"
    worker = "onnx"
    uses: tuple[str, ...] = ("onnx", "onnxruntime")

    def sources(self, spec: Mapping[str, Any], root: Path) -> dict[str, Path]:
        """The model file and the external data it names. Raises ModelError if one is missing."""
        return source_files(root / spec["path"])
