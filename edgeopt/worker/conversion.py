"""What a runtime of this machine makes of a converted file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeopt.formats import format_named
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.base import digest_of
from edgeopt.schema.job import Arrays, Request
from edgeopt.store import Store


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
        arrays = Arrays.model_validate(request.inputs["samples"].value).arrays
        n = description.signature.batch or 1
        feeds = {name: store.get_array(ref)[:n] for name, ref in arrays.items()}
    runtime = str(params["runtime"])
    converted = format_named(description.format).conversion(folder, runtime, feeds)
    if converted is not None and converted.by == runtime:
        converted = converted.model_copy(update={"by": params["by"]})
    if converted is not None and params["note"]:
        converted = converted.model_copy(update={"note": params["note"]})
    value = {"conversion": converted.to_json() if converted else None}
    return digest_of(value), value
