"""Built-in passes, one file a (name, format). They never import each other.

Those that change torch modules are here by their classes' names, too, to be called by hand:
``edgeopt.passes.Distill(epochs=2)(student, data, teacher=source)``.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def __getattr__(name: str) -> Any:
    """The pass ``PruneStructured`` of ``prune_structured_torch.py``, loaded when first used."""
    if re.fullmatch(r"[A-Z]\w*", name):
        module = "_".join(re.findall(r"[A-Z][a-z0-9]*", name)).lower()
        if find_spec(f"edgeopt.passes.{module}_torch"):
            found = getattr(import_module(f"edgeopt.passes.{module}_torch"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module 'edgeopt.passes' has no attribute '{name}'")
