"""What of a recipe's network could be pruned, found in a worker before anything is planned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeopt.bench.jobs import run_bench
from edgeopt.engine import Engine
from edgeopt.pipeline.prepare import prepare, run_or_raise
from edgeopt.planner import tensors_job
from edgeopt.recipe import Recipe
from edgeopt.schema.errors import UsageError
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job
from edgeopt.store import Store

TRIED = 8  # samples that each group of layers is tried on


def prunable_layers(
    recipe: Recipe, *, store: Store, on_event: Callable[[Event], None] = lambda _event: None
) -> list[dict[str, Any]]:
    """Each layer of the source with its units, its group, and the reason if it is left alone.

    Raises UsageError for a source that is no torch module, PassError as the pass does.
    """
    with Engine(store, on_event=on_event, bench=run_bench) as engine:
        known, outcomes = prepare(recipe, engine)
        if known.source.format != "torch":
            raise UsageError(
                f"only torch modules can be pruned, this is {known.source.format}",
                where=recipe.line("model"),
            )
        split = "calibration" if "calibration" in known.raw else "validation"
        samples = tensors_job(recipe, known, split, known.source, known.source_job)
        job = Job(
            id="prunable",
            kind="analysis",
            name="prunable",
            worker="torch",
            params={"n": max(TRIED, known.source.signature.batch or 1)},
            inputs={"model": known.source_job, "samples": samples.id},
            cache=False,
        )
        outcome = run_or_raise(engine, [samples, job], outcomes)[job.id]
    layers: list[dict[str, Any]] = outcome.value["layers"]
    return layers
