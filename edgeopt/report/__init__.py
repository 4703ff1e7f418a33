"""Views of a document: which there are, and the text that one makes of it.

A view is a module with ``draw(document) -> str``; one that also has ``show(document, folder)``
writes to a terminal by itself. It computes nothing and imports only the schema and this package.
Built-in ones are files in ``edgeopt/views`` (of a Result) and ``edgeopt/comparison_views`` (of a
Comparison); others are found by the entry point groups ``edgeopt.views`` and
``edgeopt.comparison_views``, which name a module. This package loads no library.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from edgeopt.schema import plugged
from edgeopt.schema.errors import EdgeoptError, PluginError, UsageError, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from edgeopt.schema.comparison import Comparison
    from edgeopt.schema.result import Result

RESULTS, COMPARISONS = "edgeopt.views", "edgeopt.comparison_views"  # packages, and entry points
SUFFIX = "_view"
FIRST = "terminal"


def view_names(kind: str = RESULTS) -> tuple[str, ...]:
    """The views of a kind of document, ``terminal`` first."""
    return tuple(sorted(_modules(kind), key=lambda name: (name != FIRST, name)))


def faults() -> Iterator[EdgeoptError]:
    """What is wrong with the views of other distributions, of each the first."""
    for kind in (RESULTS, COMPARISONS):
        try:
            added = set(plugged.points(kind)) & set(_modules(kind))
        except EdgeoptError as error:
            yield error
            continue
        for name in sorted(added):
            try:
                _view(name, kind)
            except EdgeoptError as error:
                yield error


def draw(document: Result | Comparison, view: str, kind: str = RESULTS) -> str:
    """The whole text of a view. Raises UsageError for an unknown one, or one without ``draw``."""
    module = _view(view, kind)
    with plugged.calling(f"draw() of the view '{view}' ({module.__name__})"):
        text = module.draw(document)
    if not isinstance(text, str):
        raise PluginError(
            f"draw() of the view '{view}' ({module.__name__}) gives a {type(text).__name__}, "
            "not text"
        )
    lone = next((at for at, char in enumerate(text) if "\ud800" <= char <= "\udfff"), None)
    if lone is not None:
        raise PluginError(
            f"draw() of the view '{view}' ({module.__name__}) gives text with a lone surrogate, "
            f"{text[lone]!r}, as character {lone + 1}: no file can hold it",
            hint="edgeopt.schema.base.printable makes text from outside safe",
        )
    return text


def show(document: Result | Comparison, view: str, folder: str = "", kind: str = RESULTS) -> None:
    """Write a view to standard output; ``folder`` is where the document lies."""
    module = _view(view, kind)
    if hasattr(module, "show"):
        with plugged.calling(f"show() of the view '{view}' ({module.__name__})"):
            module.show(document, folder)
    else:
        sys.stdout.write(draw(document, view, kind))


def _view(name: str, kind: str) -> Any:
    known = _modules(kind)
    if name not in known:
        raise UsageError(f"unknown view '{name}'", hint=did_you_mean(name, known))
    place = known[name]
    if isinstance(place, str):
        module = plugged.imported(place, f"the view '{name}'")
    else:
        module = plugged.load(place)
    if not callable(getattr(module, "draw", None)):
        raise UsageError(f"the view '{name}' has no function draw(document)", where=module.__name__)
    return module


def _modules(kind: str) -> dict[str, str | EntryPoint]:
    """Name of a view -> its module, or the entry point that brings it."""
    spec = find_spec(kind)
    folders = spec.submodule_search_locations if spec else None
    built_in = {
        info.name.removesuffix(SUFFIX): f"{kind}.{info.name}"
        for info in iter_modules(folders)
        if info.name.endswith(SUFFIX)
    }
    added = plugged.points(kind)
    if twice := sorted(set(built_in) & set(added)):
        raise UsageError(f"there is already a view '{twice[0]}'", where=added[twice[0]].value)
    return {**built_in, **added}
