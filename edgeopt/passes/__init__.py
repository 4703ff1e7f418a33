"""Passes, declared: one file for each (name, format), light. They never import each other.

``edgeopt.passes.PruneStructured`` and the other passes on torch modules are found here by the
name of their class, for use by hand.
"""

from __future__ import annotations

import re
from importlib import import_module, util
from typing import Any


def __getattr__(name: str) -> Any:
    """The class of a pass on torch modules, imported when it is first asked for."""
    file = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    module = f"{__name__}.{file}_torch"
    if not name[:1].isupper() or util.find_spec(module) is None:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(module), name)
