"""Model files that come without a recipe: opened in a worker, and fed the same samples."""

from __future__ import annotations

from pathlib import Path

from edgeopt.bench.jobs import Runnable
from edgeopt.data.tensors import axes_of, bind, layouts_read, make_tensors
from edgeopt.engine import Engine
from edgeopt.pipeline.prepare import open_job, run_or_raise
from edgeopt.recipe import make_recipe
from edgeopt.schema.artifact import Description, Signature
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.schema.job import Arrays, Outcome
from edgeopt.schema.target import Target
from edgeopt.store import Store


def opened(engine: Engine, path: Path, index: int) -> Outcome:
    """A model file, opened in a worker. Raises ModelError."""
    recipe = make_recipe({"model": {"path": path.name}}, root=path.parent)
    job = open_job(recipe, {}).model_copy(update={"id": f"open:{index}:{path}"})
    return run_or_raise(engine, [job], {})[job.id]


def fed(
    path: Path, first_path: Path, raw: Arrays, first: Signature, d: Description, store: Store
) -> Arrays:
    """The samples as a file takes them, read as the first one reads them.

    Raises DataError where they do not fit the first, UsageError where the file's inputs are others.
    """
    names, own = [t.name for t in first.inputs], [t.name for t in d.signature.inputs]
    by_name = set(names) == set(own)
    inputs = {name: name if by_name else other for name, other in zip(own, names, strict=False)}
    try:
        by_first = layouts_read(raw, first, None, None)
    except DataError as error:
        raise DataError(error.what, where=str(first_path)) from None
    layouts = {name: by_first.get(array, "") for name, array in inputs.items()}
    try:
        if len(names) != len(own):
            raise DataError(f"{len(own)} inputs against {len(names)}")
        binding = bind(raw, [], d.signature, inputs, layouts, d.codes)
        return make_tensors(raw, {"bind": binding, **axes_of(d.signature)}, store, d.signature)
    except DataError as error:
        raise UsageError(
            f"its inputs differ from those of {first_path}, so the two cannot race",
            where=str(path),
            hint=error.what,
        ) from None


def fed_with(opened: Outcome, samples: Arrays) -> Outcome:
    """The ended job that feeds an opened model, as ``runnable`` names it."""
    id = _samples_id(opened)
    return Outcome(job=id, status="ok", digest=samples.digest, value=samples.to_json())


def runnable(opened: Outcome, target: Target) -> Runnable:
    """An opened model on a target, with the samples of ``fed_with``."""
    return Runnable(target, opened.job, _samples_id(opened))


def _samples_id(opened: Outcome) -> str:
    return f"samples:{opened.job}"
