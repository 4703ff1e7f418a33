"""Analyses: what is found out of models and outputs without making an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeopt.data.gather import blamed
from edgeopt.data.outputs import kept_labels, kept_outputs
from edgeopt.evaluation import user_metrics
from edgeopt.formats.torch.code import function_of
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import EdgeoptError, WorkerError
from edgeopt.schema.job import Arrays, Request
from edgeopt.store import Store
from edgeopt.worker.conversion import conversion
from edgeopt.worker.handlers import Progress


def analyse(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Run the analysis that the job names."""
    named = {"metric": _own_metric, "prunable": _prunable, "conversion": conversion}
    if request.job.name not in named:
        raise WorkerError(f"unknown analysis '{request.job.name}'", where=request.job.id)
    return named[request.job.name](request, store, progress)


def _own_metric(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """A metric of the recipe's own, alone and against the source. Raises DataError."""
    params, where = request.job.params, request.job.where
    file, _, name = where["function"].rpartition(":")
    function = function_of(Path(where["root"]), file, name)
    mine, theirs = (
        kept_outputs(request.inputs[side].value, [Tensor.model_validate(t) for t in params[side]],
                     store, request.job.id)
        for side in ("mine", "source")
    )  # fmt: skip
    refs = Arrays.model_validate(request.inputs["raw"].value).labels
    labels = kept_labels(params["labels"], refs, store)
    try:
        measurements = user_metrics.figures(
            params["name"], function, params["better"], mine, theirs, labels
        )
    except EdgeoptError:
        raise
    except Exception as error:
        raise blamed(error, f"metric.{params['name']} ({where['function']})") from error
    value = {quantity: measurement.to_json() for quantity, measurement in measurements.items()}
    return digest_of(value), value


def _prunable(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    from edgeopt.worker.prunable import prunable  # loads torch

    return prunable(request, store, progress)
