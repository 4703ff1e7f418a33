"""Passes, metrics, views, formats and devices: found, loaded, and called.

Other distributions bring them by entry points, ``NAME = MODULE`` or ``NAME = MODULE:NAME``.

The agent, which imports nothing of edgeopt, has its own for runtimes (``agent/sessions``).
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib import metadata
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any

from edgeopt.schema.errors import EdgeoptError, PluginError, UsageError

OWN = f"{Path(__file__).parents[1]}{os.sep}"  # edgeopt's folder
IMPORTS = f"{Path(importlib.__file__).parent}{os.sep}"
_alone = RLock()

GROUPS = tuple(
    f"edgeopt.{kind}"
    for kind in ("passes", "metrics", "views", "comparison_views", "formats", "runtimes", "devices")
)


def points(group: str) -> dict[str, metadata.EntryPoint]:
    """The entry points of a group by their names. Raises UsageError for a name that stands twice.

    Nothing is imported.
    """
    by_name: dict[str, metadata.EntryPoint] = {}
    for point in sorted(set(every_point(_where()).select(group=group))):
        if point.name in by_name:
            raise UsageError(f"two distributions provide {place(point)}", hint="uninstall one")
        by_name[point.name] = point
    return by_name


@cache
def every_point(_where: tuple[tuple[str, int], ...]) -> Any:  # EntryPoints
    """Those of all that is installed on a path, folders with the time of their last change: each
    file of them is read once a process."""
    return metadata.entry_points()


def _where() -> tuple[tuple[str, int], ...]:
    """The folders that modules are found in; another one once something is installed there."""
    return tuple((path, _changed(path)) for path in sys.path)


def _changed(path: str) -> int:
    try:
        return os.stat(path or ".").st_mtime_ns
    except OSError:
        return 0


def strays() -> Iterator[metadata.EntryPoint]:
    """Entry points of groups that are spelled as if they were edgeopt's, and are none."""
    every = every_point(_where())
    for group in sorted(every.groups):
        if group.startswith("edgeopt.") and group not in GROUPS:
            yield from sorted(set(every.select(group=group)))


def load(point: metadata.EntryPoint) -> Any:
    """What an entry point names. Raises UsageError where it cannot be imported or is not there."""
    try:
        return point.load()
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        name = brought_by(point)
        brought = f"'{name}', which" if name else "the distribution that"
        raise UsageError(
            f"'{point.value}' cannot be loaded: {one_line(error)}",
            where=place(point),
            hint=f"{raised_in(error)}; update or uninstall {brought} brings it",
        ) from error


def imported(module: str, what: str) -> ModuleType:
    """A module of edgeopt's own folders of plug-ins, or one that a declaration names.

    Raises PluginError, naming the file and line, where it cannot be imported.
    """
    with calling(f"{what} ({module})"):
        return importlib.import_module(module)


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Make a PluginError, naming the plug-in's last file and line, of whatever a plug-in raises but
    errors of edgeopt's own. One that leaves by ``sys.exit`` fails, too: it does not end the run."""
    try:
        yield
    except (EdgeoptError, MemoryError):
        raise
    except (Exception, SystemExit, GeneratorExit) as error:
        raise PluginError(f"{what} failed: {one_line(error)}", hint=raised_in(error)) from error


@contextmanager
def aside() -> Iterator[None]:
    """Send what a plug-in prints to stderr: a result may be expected on stdout.

    One thread at a time, because stdout belongs to the process.
    """
    with _alone, redirect_stdout(sys.stderr):
        yield


def raised_in(error: BaseException) -> str:
    """The last place in a plug-in's own folder that an error went through, in words.

    The first two frames are those that called it: here, and around a ``with``.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"raised in {error.filename}:{error.lineno}"
    every = list(traceback.extract_tb(error.__traceback__))
    frames = [f for f in every[2:] if not f.filename.startswith(("<", OWN, IMPORTS))] or every
    first = Path(frames[0].filename).parent
    last = [frame for frame in frames if Path(frame.filename).is_relative_to(first)][-1]
    return f"raised in {last.filename}:{last.lineno} ({last.name})"


def one_line(error: BaseException) -> str:
    """Kind and message of an error; of a validation the first field that is wrong."""
    from pydantic import ValidationError  # the command's help finds views by this module

    if not isinstance(error, ValidationError):
        text = " ".join(filter(None, map(str.strip, str(error).splitlines())))
        return f"{type(error).__name__}: {text}"[:2000].rstrip(": ")
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    what = "is missing" if first["type"] == "missing" else first["msg"]
    return f"{error.title}: '{where}': {what}" if where else f"{error.title}: {what}"


def place(point: metadata.EntryPoint) -> str:
    """An entry point as errors name it."""
    return f"the entry point '{point.name}' of {point.group}"


def brought_by(point: metadata.EntryPoint) -> str:
    """The distribution of an entry point: its version enters keys. Empty where none is known."""
    return point.dist.name if point.dist else ""
