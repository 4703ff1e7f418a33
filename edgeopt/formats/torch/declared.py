"""The torch format as the planner sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.formats.torch.sources import program_file, source_files


class TorchDeclared:
    """Where a model's files lie; the rest is in ``format.json``."""

    def sources(self, spec: Mapping[str, Any], root: Path) -> dict[str, Path]:
        """Weights, the factory's module and what it imports from beside it; or the program."""
        if spec.get("path"):
            return {"program": program_file(root / spec["path"])}
        return source_files(spec, root)
