"""Which files a module of the user's is made of, found by reading imports, without importing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeopt.schema.errors import ModelError

FILE_NAME = re.compile(r"[^:]+\.py:[A-Za-z_]\w*")  # FILE.py:NAME


def code_files(names: Sequence[str], root: Path) -> dict[str, Path]:
    """Files below ``root`` by ``code/PATH``: those named, and for modules what they import.

    Modules are looked for beside the first of ``names``, then in ``root``; what those import is
    looked for in turn. Raises ModelError for a missing file, one outside ``root`` and one that is
    no Python.
    """
    pending, seen = [inside(root, name) for name in names], set()
    bases = import_bases(root, names[0]) if names else ()
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        if path.suffix == ".py":
            pending += _imported(path, bases, root)
    return {f"code/{path.relative_to(root).as_posix()}": path for path in sorted(seen)}


def import_bases(root: Path, file: str) -> tuple[Path, ...]:
    """Where ``import x`` in user code looks first: the factory's folder, then the recipe's."""
    return tuple(dict.fromkeys(((root / file).parent, root)))


def inside(root: Path, name: str) -> Path:
    """``root / name``. Raises ModelError unless it is a file below ``root``."""
    path = root / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ModelError("source files must be below the recipe's folder", where=name)
    if not path.is_file():
        raise ModelError("no such source file", where=str(path))
    return path


def _imported(path: Path, bases: tuple[Path, ...], root: Path) -> list[Path]:
    """Files below the bases that a module's import statements load."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise ModelError(f"not valid Python: {error}", where=f"{path}:{line}") from error
    paths: list[Path] = []
    for level, name in _names(tree):
        starts = bases if level == 0 else (_up(path.parent, level - 1),)
        for base in starts:
            if base.is_relative_to(root) and (files := _files(base, name)):
                paths += files
                break
    return paths


def _names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(level, dotted name) of all that a module may import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module:
                yield node.level, module
            for alias in node.names:
                if alias.name != "*":
                    yield node.level, f"{module}.{alias.name}".lstrip(".")


def _files(base: Path, name: str) -> list[Path]:
    """The files that importing a dotted name from ``base`` executes; empty if not there."""
    paths: list[Path] = []
    folder = base
    for part in name.split("."):
        package, module = folder / part / "__init__.py", folder / f"{part}.py"
        if package.is_file():
            paths.append(package)
        elif module.is_file():
            return [*paths, module]
        elif not (folder / part).is_dir():
            break
        folder = folder / part
    return paths


def _up(folder: Path, levels: int) -> Path:
    for _ in range(levels):
        folder = folder.parent
    return folder
