"""Views of the result document. They compute nothing and import only the schema."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeopt.schema.result import Result

VIEWS = {"terminal": "terminal", "html": "page", "json": "document"}  # format -> module


def draw(result: Result, view: str) -> str:
    """The whole text of a view. Raises KeyError for an unknown one."""
    text: str = import_module(f"edgeopt.report.{VIEWS[view]}").draw(result)
    return text
