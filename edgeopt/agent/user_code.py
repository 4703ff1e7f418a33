"""The user's own modules, imported from an artifact's copy of them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import itertools
import os
import sys
import types
from typing import Any, Iterator, List

_COUNT = itertools.count()


@contextlib.contextmanager
def importing(bases: List[str]) -> Iterator[None]:
    """Find modules in these folders first; forget them again: two models may have a ``net.py``."""
    names = {os.path.splitext(entry)[0] for base in bases for entry in os.listdir(base)}

    def ours() -> List[str]:
        return [name for name in sys.modules if name.partition(".")[0] in names]

    hidden = {name: sys.modules.pop(name) for name in ours()}
    sys.path[:0] = bases
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for base in bases:
            sys.path.remove(base)
        for name in ours():
            del sys.modules[name]
        sys.modules.update(hidden)


def imported(path: str) -> Any:
    """The module of a file, in a package of its own, so that relative imports resolve too."""
    package = types.ModuleType("_model_{}".format(next(_COUNT)))
    package.__path__ = [os.path.dirname(path)]
    sys.modules[package.__name__] = package
    name = "{}.{}".format(package.__name__, os.path.splitext(os.path.basename(path))[0])
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("{} is not a Python file".format(os.path.basename(path)))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
