"""What the parts of one run share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgeopt.engine import Engine
from edgeopt.planner import Known
from edgeopt.recipe import Recipe
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job, Outcome
from edgeopt.store import Store


@dataclass
class Work:
    """A recipe on its way: what is known, who runs jobs, and what became of those that ran."""

    recipe: Recipe
    known: Known
    engine: Engine
    store: Store
    outcomes: dict[str, Outcome]
    on_event: Callable[[Event], None]
    deadline: float | None = None

    def run(self, jobs: Iterable[Job]) -> None:
        """Run what has no outcome yet, and keep the outcomes."""
        missing = [job for job in jobs if job.id not in self.outcomes]
        self.outcomes.update(self.engine.run(missing, self.outcomes))

    def tell(self, what: str, text: str) -> None:
        """An event: a ``phase`` or a ``note``."""
        self.on_event(Event.model_validate({"what": what, "text": text}))
