"""Where jobs run. An executor starts them and tells of their progress and outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from edgeopt.schema.job import Outcome, Request


@dataclass(frozen=True)
class Told:
    """How far a running job is; with a ``note``, only that sentence."""

    job: str
    done: float = 0.0
    total: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    note: str = ""


Tell = Callable[[Outcome | Told], None]


class Executor(Protocol):
    """Runs requests; every started job tells its outcome exactly once, from any thread."""

    def start(self, request: Request, tell: Tell) -> None:
        """Run a request soon; returns at once. ``request.workdir`` is the executor's to set."""
        ...

    def stop(self) -> None:
        """Kill all that runs, and wait for its end. Idempotent."""
        ...
