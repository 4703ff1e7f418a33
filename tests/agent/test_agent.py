"""The agent alone: what it may import, which Python reads it, how it frames what it says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from edgeopt.agent import protocol

FOLDER = Path(protocol.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(FOLDER)))
def test_python_3_8_reads_every_file_and_none_imports_edgeopt(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        assert not [name for name in names if name.split(".")[0] == "edgeopt"]
