"""Views of a comparison. They compute nothing and import only the schema."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeopt.schema.comparison import Comparison

VIEWS = ("terminal", "markdown", "json", "junit")


def draw(comparison: Comparison, view: str) -> str:
    """The whole text of a view. Raises KeyError for an unknown one."""
    if view not in VIEWS:
        raise KeyError(view)
    text: str = import_module(f"{__name__}.{view}_view").draw(comparison)
    return text
