"""Which layers of a torch module can be pruned."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from edgeopt.agent.feeds import as_fed
from edgeopt.formats import format_named
from edgeopt.pruning.prunable import find_prunable
from edgeopt.schema.artifact import Artifact
from edgeopt.schema.base import digest_of
from edgeopt.schema.job import Arrays, Request
from edgeopt.store import Store
from edgeopt.worker.answers import samples_of
from edgeopt.worker.handlers import Progress, made_folder


def prunable(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Each layer of the source, whether it can be pruned, and why not. Raises PassError."""
    artifact = Artifact.model_validate(request.inputs["model"].value["artifact"])
    folder = made_folder(request, "model")
    store.checkout(artifact, folder, writable=True)
    module = format_named(artifact.format).load(folder).eval()
    arrays = Arrays.model_validate(request.inputs["samples"].value)
    count = int(request.job.params["n"])
    rows = {name: np.array(array[:count]) for name, array in samples_of(arrays, store).items()}
    few = {name: torch.from_numpy(fed) for name, fed in as_fed(rows, arrays.axes).items()}
    tried = find_prunable(module, few, progress)
    value = {"layers": [dataclasses.asdict(layer) for layer in tried.layers(module)]}
    return digest_of(value), value
