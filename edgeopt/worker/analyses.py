"""Analyses: what is found out of models and outputs without making an artifact."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from edgeopt.schema.artifact import Artifact, Tensor
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import EdgeoptError, WorkerError
from edgeopt.schema.job import Arrays, Request
from edgeopt.store import Store
from edgeopt.worker.conversion import conversion
from edgeopt.worker.handlers import Progress, made_folder


def analyse(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Run the analysis that the job names."""
    named = {"metric": _own_metric, "prunable": _prunable, "conversion": conversion}
    if request.job.name not in named:
        raise WorkerError(f"unknown analysis '{request.job.name}'", where=request.job.id)
    return named[request.job.name](request, store, progress)


def _own_metric(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """A metric of the recipe's own, alone and against the source. Raises DataError."""
    from edgeopt.data.gather import blamed
    from edgeopt.data.outputs import kept_labels, kept_outputs
    from edgeopt.formats.torch.code import function_of
    from edgeopt.metrics import custom

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
        found = custom.figures(params["name"], function, params["better"], mine, theirs, labels)
    except EdgeoptError:
        raise
    except Exception as error:
        raise blamed(error, f"metric.{params['name']} ({where['function']})") from error
    value = {quantity: measurement.to_json() for quantity, measurement in found.items()}
    return digest_of(value), value


def _prunable(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Each layer of the source, whether it can be pruned, and why not. Raises PassError."""
    import numpy as np
    import torch

    from edgeopt.formats import format_named
    from edgeopt.pruning.prunable import found

    artifact = Artifact.model_validate(request.inputs["model"].value["artifact"])
    folder = made_folder(request, "model")
    store.checkout(artifact, folder, writable=True)
    module = format_named(artifact.format).load(folder).eval()
    arrays = Arrays.model_validate(request.inputs["samples"].value).arrays
    count = int(request.job.params["n"])
    few = {
        name: torch.from_numpy(np.array(store.get_array(ref)[:count]))
        for name, ref in arrays.items()
    }
    tried = found(module, few, progress)
    value = {"layers": [dataclasses.asdict(layer) for layer in tried.layers(module)]}
    return digest_of(value), value
