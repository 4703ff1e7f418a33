"""Jobs for the user's own metrics, which workers compute: code of the user's runs there."""

from __future__ import annotations

from edgeopt.pipeline.user_code import code_digests, placed_code
from edgeopt.planner import Known
from edgeopt.recipe import OwnMetric, Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import from_record
from edgeopt.schema.job import Job, Outcome
from edgeopt.schema.measurement import Measurement


def metric_jobs(
    recipe: Recipe, known: Known, split: str, scored: str, described: Description, source: str
) -> list[Job]:
    """A job for each metric of the recipe's own on what the job ``scored`` gave.

    ``source`` is the job that scored the source. Raises ModelError for a missing file.
    """
    metrics = [m for m in recipe.own_metrics if m.name not in recipe.functions]
    return [_job(recipe, known, split, metric, scored, described, source) for metric in metrics]


def _job(
    recipe: Recipe,
    known: Known,
    split: str,
    metric: OwnMetric,
    scored: str,
    described: Description,
    source: str,
) -> Job:
    refs = known.raw[split].labels
    labels = recipe.data.label if recipe.data else None
    base, function = placed_code(metric.function, recipe.root)
    return Job(
        id=f"metric:{metric.name}:{scored}",
        kind="analysis",
        name="metric",
        worker="user",
        params={
            "name": metric.name,
            "better": metric.better,
            "mine": [tensor.to_json() for tensor in described.signature.outputs],
            "source": [tensor.to_json() for tensor in known.source.signature.outputs],
            "labels": labels,
            "label_blobs": {name: ref.blob for name, ref in refs.items()},
        },
        inputs={"mine": scored, "source": source, "raw": known.raw_jobs[split]},
        key={"code": code_digests(recipe, metric.function)},
        where={"function": function, "root": str(base.resolve())},
    )


def measured_by(outcomes: list[Outcome]) -> dict[str, Measurement]:
    """The figures of ended metric jobs. Raises the error of the first that failed."""
    measured: dict[str, Measurement] = {}
    for outcome in outcomes:
        if not outcome.ok:
            raise from_record(outcome.error or {"what": f"{outcome.job} {outcome.status}"})
        measured |= {name: Measurement.model_validate(raw) for name, raw in outcome.value.items()}
    return measured
