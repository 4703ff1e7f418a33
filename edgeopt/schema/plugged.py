"""What other distributions plug in by entry points, ``NAME = MODULE`` or ``NAME = MODULE:NAME``.

The agent, which imports nothing of edgeopt, has its own for runtimes (``agent/sessions``).
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

from edgeopt.schema.errors import UsageError


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


def place(point: metadata.EntryPoint) -> str:
    """An entry point as errors name it."""
    return f"the entry point '{point.name}' of {point.group}"
