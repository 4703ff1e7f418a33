"""Import a factory from an artifact's own copy of its code, without leaving traces.

While the factory's module is imported, modules beside it are found by their plain names;
afterwards ``sys.path`` and ``sys.modules`` are as before, save for the factory's module,
which stays under a private name. Two artifacts that both bring a ``net.py`` cannot meet.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from edgeopt.models.python_files import import_bases
from edgeopt.schema.errors import ModelError

LIST_IT = "List it under model.sources."


def build(code: Path, file: str, name: str, root: Path | None = None, seed: int = 0) -> Any:
    """Call the factory ``name`` of ``code/file``; what it returns. ``seed`` is torch's meanwhile.

    ``root`` is where the copy was made from: a file that the code wants and that is only
    there, was missed by the scan. Raises ModelError that names the file and line.
    """
    path = code / file
    before = set(sys.modules)
    with importing(import_bases(code, file)):
        try:
            module = _imported(path)
            factory = getattr(module, name, None)
            if not callable(factory):
                raise ModelError(f"the module has no callable '{name}'", where=file)
            built = _called(factory, seed)
        except ModelError:
            raise
        except Exception as error:
            raise _explained(error, code, file, root) from error
        if root is not None:
            _refuse_strangers(set(sys.modules) - before, code, root)
    return built


def function_of(root: Path, file: str, name: str) -> Callable[..., Any]:
    """The callable ``name`` of ``root/file``, imported where it lies.

    Raises ModelError that names the file and line.
    """
    path = root / file
    if not path.is_file():
        raise ModelError("no such file", where=str(path))
    with importing(import_bases(root, file)):
        try:
            function: Callable[..., Any] | None = getattr(_imported(path), name, None)
        except Exception as error:
            raise _explained(error, root, file, None) from error
    if not callable(function):
        raise ModelError(f"the module has no callable '{name}'", where=file)
    return function


@contextmanager
def importing(bases: tuple[Path, ...]) -> Iterator[None]:
    """Let modules in ``bases`` be imported by name; undo it all afterwards."""
    names = {p.stem for base in bases for p in base.iterdir() if p.suffix == ".py" or p.is_dir()}

    def ours() -> list[str]:
        return [key for key in sys.modules if key.partition(".")[0] in names]

    hidden = {key: sys.modules.pop(key) for key in ours()}
    added, no_bytecode = [str(base) for base in bases], sys.dont_write_bytecode
    sys.path[:0] = added
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = no_bytecode
        for entry in added:
            sys.path.remove(entry)
            sys.path_importer_cache.pop(entry, None)
        for key in ours():
            del sys.modules[key]
        sys.modules.update(hidden)


def _imported(path: Path) -> ModuleType:
    """The module of a file, under a private package so that relative imports resolve too."""
    digest = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:16]
    package = ModuleType(f"_edgeopt_model_{digest}")
    package.__path__ = [str(path.parent)]
    for key in [k for k in sys.modules if k.partition(".")[0] == package.__name__]:
        del sys.modules[key]
    sys.modules[package.__name__] = package
    spec = importlib.util.spec_from_file_location(f"{package.__name__}.{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def _called(factory: Callable[[], Any], seed: int) -> Any:
    """Seeded, so that a factory that brings its own weights gives the same each time."""
    import torch  # functions are found without it

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return factory()


def _explained(error: Exception, code: Path, file: str, root: Path | None) -> ModelError:
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(str(code))
    ]
    at = frames[-1] if frames else None
    where = f"{Path(at.filename).relative_to(code)}:{at.lineno}" if at else file
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{Path(error.filename).name}:{error.lineno}"
    wanted = ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        wanted = error.name.replace(".", "/") + ".py"
        hint = f"Install '{error.name}' where edgeopt runs."
    elif isinstance(error, FileNotFoundError) and error.filename:
        wanted = Path(str(error.filename)).name
        hint = "The code runs in a folder of its own: what it reads must be copied there."
    else:
        hint = "The factory is called without arguments."
    for base in import_bases(root, file) if root and wanted else ():
        for candidate in (base / wanted, base / wanted.removesuffix(".py")):
            if candidate.exists():
                return ModelError(
                    f"loads '{candidate.relative_to(root or base)}', which the scan of import "
                    "statements did not see",
                    where=where,
                    hint=LIST_IT,
                )
    return ModelError(
        f"the factory failed: {type(error).__name__}: {error}", where=where, hint=hint
    )


def _refuse_strangers(names: set[str], code: Path, root: Path) -> None:
    """Refuse modules that came from the user's folder and have no copy in the artifact."""
    here, there = code.resolve(), root.resolve()
    for name in sorted(names):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or "site-packages" in Path(file).parts:
            continue
        path = Path(file).resolve()
        if not path.is_relative_to(there) or path.is_relative_to(here):
            continue
        if not (code / path.relative_to(there)).exists():
            raise ModelError(
                f"loads '{path.relative_to(there)}', which the scan of import statements "
                "did not see",
                where=name,
                hint=LIST_IT,
            )
