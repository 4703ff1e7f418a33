"""Passes, metrics, views, formats and devices: found, loaded, and called.

Other distributions bring them by entry points, ``NAME = MODULE`` or ``NAME = MODULE:NAME``.

The agent, which imports nothing of edgeopt, has its own for runtimes (``agent/sessions``).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from types import ModuleType
from typing import Any

from edgeopt.schema.errors import EdgeoptError, PluginError, UsageError


def points(group: str) -> dict[str, metadata.EntryPoint]:
    """The entry points of a group by their names. Raises UsageError for a name that stands twice.

    Nothing is imported.
    """
    by_name: dict[str, metadata.EntryPoint] = {}
    for point in sorted(set(metadata.entry_points(group=group))):
        if point.name in by_name:
            raise UsageError(f"two distributions provide {place(point)}", hint="uninstall one")
        by_name[point.name] = point
    return by_name


def load(point: metadata.EntryPoint) -> Any:
    """What an entry point names. Raises UsageError where it cannot be imported or is not there."""
    try:
        return point.load()
    except Exception as error:  # a stranger's module may raise anything while it is imported
        raise UsageError(
            f"'{point.value}' cannot be loaded: {type(error).__name__}: {error}",
            where=place(point),
            hint="update or uninstall the distribution that brings it",
        ) from error


def imported(module: str, what: str) -> ModuleType:
    """A module of edgeopt's own folders of plug-ins, or one that a declaration names.

    Raises PluginError, naming the file and line, where it cannot be imported.
    """
    with calling(f"{what} ({module})"):
        return import_module(module)


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Make a PluginError, naming the last file and line, of whatever a plug-in raises but errors of
    edgeopt's own."""
    try:
        yield
    except EdgeoptError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise PluginError(
            f"{what} failed: {one_line(error)}",
            hint=f"raised in {last.filename}:{last.lineno} ({last.name})",
        ) from error


def one_line(error: BaseException) -> str:
    """Kind and message of an error; of a validation the first field that is wrong."""
    from pydantic import ValidationError  # the command's help finds views by this module

    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"[:2000].rstrip(": ")
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    what = "is missing" if first["type"] == "missing" else first["msg"]
    return f"{error.title}: '{where}': {what}" if where else f"{error.title}: {what}"


def place(point: metadata.EntryPoint) -> str:
    """An entry point as errors name it."""
    return f"the entry point '{point.name}' of {point.group}"
