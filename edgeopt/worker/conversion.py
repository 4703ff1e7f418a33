"""What a runtime of this machine makes of a converted file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeopt.agent.feeds import as_fed
from edgeopt.formats import format_named
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.base import digest_of
from edgeopt.schema.job import Arrays, Request
from edgeopt.store import Store
from edgeopt.worker.answers import samples_of


def conversion(request: Request, store: Store, progress: Any) -> tuple[str, dict[str, Any]]:
    """``{"conversion": Conversion or None}`` of the role ``model``, fed the first of ``samples``.

    Where the runtime fails, it is the file's own, with a note. Raises ModelError for a file that
    cannot be read.
    """
    params, given = request.job.params, request.inputs["model"].value
    description = Description.model_validate(given["description"])
    folder = Path(request.workdir) / "model"
    store.checkout(Artifact.model_validate(given["artifact"]), folder)
    feeds = None
    if "samples" in request.inputs:
        arrays = Arrays.model_validate(request.inputs["samples"].value)
        n = description.signature.batch_of(arrays.axes) or 1
        rows = {name: array[:n] for name, array in samples_of(arrays, store).items()}
        feeds = as_fed(rows, arrays.axes)
    runtime = str(params["runtime"])
    kind, settings = format_named(description.format), params.get("settings", {})
    converted = kind.conversion(folder, runtime, feeds, settings)
    if converted is not None and converted.by == runtime:
        converted = converted.model_copy(update={"by": params["by"]})
    if converted is not None and params["note"]:
        converted = converted.model_copy(update={"note": params["note"]})
    value = {"conversion": converted.to_json() if converted else None}
    return digest_of(value), value
