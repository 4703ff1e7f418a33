"""Which files a factory is made of, found by reading imports, without importing anything."""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgeopt.models.python_files import code_files
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
    return files | code_files([file, *spec.get("sources", ())], root)


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
