"""What is in one model file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgeopt.bench.jobs import run_bench
from edgeopt.commands.model_files import opened
from edgeopt.engine import Engine
from edgeopt.pipeline.conversion import conversions_of
from edgeopt.schema.artifact import Inspection
from edgeopt.schema.event import Event
from edgeopt.store import Store

OnEvent = Callable[[Event], None]


def inspect_model(
    path: Path, *, store: Store, on_event: OnEvent = lambda _event: None
) -> Inspection:
    """Open a model file in a worker and say what is in it. Raises ModelError naming the file."""
    with Engine(store, on_event=on_event, bench=run_bench) as engine:
        outcome = opened(engine, path, 0)
        inspection = Inspection.model_validate(outcome.value["inspection"])
        return inspection.model_copy(update={"conversions": conversions_of(engine, outcome)})
