"""Which files a factory is made of, found by reading imports, without importing anything."""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgeopt.schema.errors import ModelError, UsageError

# Names by which a module binds others that its text does not show.
UNSEEN = frozenset({"*", "globals", "vars", "exec", "setattr", "__getattr__", "__dict__"})


def factory_of(spec: Mapping[str, Any]) -> tuple[str, str]:
    """File and callable of ``FILE.py:CALLABLE``. Raises UsageError."""
    text = str(spec.get("factory") or "")
    file, _, name = text.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        raise UsageError(
            f"the factory '{text}' is not FILE.py:CALLABLE",
            hint="A torch model is made by a callable without arguments, e.g. 'net.py:resnet'.",
        )
    return file, name


def program_file(path: Path) -> Path:
    """The file of an exported program. Raises ModelError for what else goes by such names."""
    if not path.is_file():
        raise ModelError("no such model file", where=str(path))
    if path.suffix.lower() == ".pt2":
        return path
    what, hint = "holds weights and no network", "Name the factory that builds the network."
    with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
        if any("/code/" in name for name in archive.namelist()):
            what = "is a TorchScript archive: it is code, which edgeopt does not run"
            hint = "Export the module by torch.export, or name its factory."
    raise ModelError(
        what,
        where=str(path),
        hint=f"{hint} In a recipe: model: {{factory: 'net.py:make', weights: {path.name}}}.",
    )


def source_files(spec: Mapping[str, Any], root: Path) -> dict[str, Path]:
    """Weights and code by name: ``weights``, ``code/PATH`` with the path below ``root``.

    Code is the factory's module, the modules beside it (or beside the recipe) that it
    imports, theirs in turn, and what ``sources`` lists. Raises ModelError for a missing
    file, one outside ``root`` and one that is no Python.
    """
    file, _ = factory_of(spec)
    files: dict[str, Path] = {}
    if spec.get("weights"):
        files["weights"] = root / spec["weights"]
        if not files["weights"].is_file():
            raise ModelError("no such weights file", where=str(files["weights"]))
    listed = [inside(root, name) for name in (file, *spec.get("sources", ()))]
    bases = import_bases(root, file)
    pending, seen = list(listed), set()
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        if path.suffix == ".py":
            pending += _imported(path, bases, root)
    for path in sorted(seen):
        files[f"code/{path.relative_to(root).as_posix()}"] = path
    return files


def check_defined(path: Path, name: str) -> None:
    """Raise ModelError where a module's text binds ``name`` nowhere and has no way to do so unseen.

    Nothing is imported; what is bound in a way that cannot be read is found where it is called.
    """
    bound: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Name):
            bound.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound.update(a.asname or a.name.partition(".")[0] for a in node.names)
    if name not in bound and not bound & UNSEEN:
        raise ModelError(f"the module has no callable '{name}'", where=str(path))


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
