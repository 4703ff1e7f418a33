"""What of a recipe's network could be pruned, found in a worker before anything is planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgeopt import step_calls
from edgeopt.bench.jobs import run_bench
from edgeopt.engine import Engine
from edgeopt.pipeline.prepare import prepare, run_or_raise
from edgeopt.planner import tensors_job
from edgeopt.planner.branches import TRAINED
from edgeopt.planner.jobs import TO_TORCH, Branch, Jobs
from edgeopt.recipe import Recipe
from edgeopt.schema.errors import UsageError
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job
from edgeopt.step import registry
from edgeopt.store import Store

TRIED = 8  # samples that each group of layers is tried on


def prunable_layers(
    recipe: Recipe, *, store: Store, on_event: Callable[[Event], None] = lambda _event: None
) -> list[dict[str, Any]]:
    """Each layer of the source with its units, its group, and the reason if it is left alone.

    A source that is no torch module is rebuilt as one, as for passes that prune. Raises UsageError
    for one that cannot be, PassError as the passes do.
    """
    with Engine(store, on_event=on_event, bench=run_bench) as engine:
        known, outcomes = prepare(recipe, engine)
        jobs = Jobs(recipe, known)
        module = Branch(known.source, known.source_job, "")
        if known.source.format != TRAINED:
            kind = registry().get((TO_TORCH, known.source.format))
            if kind is None:
                raise UsageError(
                    f"only what can be made a torch module can be pruned, this is "
                    f"{known.source.format}",
                    where=recipe.line("model"),
                )
            step = step_calls.read(kind, {})
            step_calls.requires(step, known.source)
            checked = replace(module, check=jobs.check_source())
            module = jobs.add(checked, step)
        split = "calibration" if "calibration" in known.raw else "validation"
        samples = tensors_job(recipe, known, split, module.description, module.job)
        job = Job(
            id="prunable",
            kind="analysis",
            name="prunable",
            worker="torch",
            params={"n": max(TRIED, known.source.signature.batch or 1)},
            inputs={"model": module.job, "samples": samples.id},
            needs=(module.check,) if module.check else (),
            cache=False,
        )
        before = [each for each in jobs.by_id.values() if each.id != samples.id]
        outcome = run_or_raise(engine, [*before, samples, job], outcomes)[job.id]
    layers: list[dict[str, Any]] = outcome.value["layers"]
    return layers
