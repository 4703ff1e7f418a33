"""Tool environments for users: what there is, making one, removing one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from edgeopt.environments import Environment, environment, environments
from edgeopt.environments.interpreters import interpreter_of
from edgeopt.environments.making import Tell, make, remove


def tool_environments() -> list[dict[str, Any]]:
    """The tool environments that passes may run in: pins, Python, folder, whether they are made."""
    return [_facts(env) for env in environments().values()]


def _facts(env: Environment) -> dict[str, Any]:
    found = interpreter_of(env.python)
    return {
        "name": env.name,
        "purpose": env.purpose,
        "python": env.python,
        "interpreter": str(found or ""),
        "pins": env.pins,
        "folder": str(env.folder),
        "made": env.is_made,
        "size_bytes": _size(env.folder) if env.is_made else 0,
    }


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def make_environment(name: str, tell: Tell = lambda _done, _of, _at: None) -> dict[str, Any]:
    """Make a tool environment unless it is there; packages are downloaded.

    ``tell`` is given how many packages are done, of how many, and what it is at. Raises
    UsageError for an unknown name, EnvironmentMissingError where it cannot be made.
    """
    env, began = environment(name), time.monotonic()
    new = make(env, tell)
    seconds = round(time.monotonic() - began, 1)
    return {"name": name, "folder": str(env.folder), "new": new, "seconds": seconds}


def remove_environment(name: str) -> int:
    """Remove a tool environment, with those of older pins; how many folders there were.

    Raises UsageError for an unknown name.
    """
    return remove(environment(name))
