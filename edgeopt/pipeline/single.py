"""Smaller jobs than a recipe: inspect one model, race a few files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgeopt.bench.jobs import run_bench
from edgeopt.data.tensors import bind, make_tensors
from edgeopt.devices import device_named
from edgeopt.engine import Engine
from edgeopt.pipeline.prepare import open_job, run_or_raise
from edgeopt.recipe import make_recipe
from edgeopt.schema.artifact import Description, Inspection, Signature
from edgeopt.schema.errors import DataError, UsageError, from_record
from edgeopt.schema.event import Event
from edgeopt.schema.job import Arrays, Job, Outcome
from edgeopt.schema.target import Target, parse_target
from edgeopt.store import Store

OnEvent = Callable[[Event], None]
RANDOM_SAMPLES = 16


def inspect_model(
    path: Path, *, store: Store, on_event: OnEvent = lambda _event: None
) -> Inspection:
    """Open a model file in a worker and say what is in it. Raises ModelError naming the file."""
    with Engine(store, on_event=on_event, bench=run_bench) as engine:
        outcome = _open(engine, path, 0)
    return Inspection.model_validate(outcome.value["inspection"])


def benchmark_files(
    paths: Sequence[Path],
    *,
    targets: Sequence[str] = ("local/onnxruntime",),
    data: Path | None = None,
    store: Store,
    on_event: OnEvent = lambda _event: None,
) -> dict[str, Any]:
    """Race model files: each one in full against the first, which races itself.

    ``data`` is an .npz with an array for each model input; random samples otherwise (normal,
    or zeros and ones for integers). Raises UsageError, ModelError, DeviceError.
    """
    if not paths:
        raise UsageError("name at least one model file")
    parsed = [parse_target(text) for text in targets]
    with Engine(store, on_event=on_event, bench=run_bench) as engine:
        opened = [_open(engine, path, index) for index, path in enumerate(paths)]
        descriptions = [Description.model_validate(o.value["description"]) for o in opened]
        for path, description in zip(paths, descriptions, strict=True):
            if description.signature.inputs != descriptions[0].signature.inputs:
                raise UsageError(
                    f"its inputs differ from those of {paths[0]}, so the two cannot race",
                    where=str(path),
                    hint="; ".join(description.differs(descriptions[0])),
                )
        outcomes = {o.job: o for o in opened}
        samples = _samples(descriptions[0].signature, data, store)
        outcomes["samples"] = Outcome(
            job="samples", status="ok", digest=samples.digest, value=samples.to_json()
        )
        return {
            "data": str(data) if data else "random",
            "targets": [_race_all(engine, t, paths, opened, outcomes) for t in parsed],
        }


def _race_all(
    engine: Engine,
    target: Target,
    paths: Sequence[Path],
    opened: Sequence[Outcome],
    outcomes: dict[str, Outcome],
) -> dict[str, Any]:
    facts = device_named(target.device).facts(target)
    files = []
    for path, outcome in zip(paths, opened, strict=True):
        found: dict[str, Any] = {}
        for protocol in ("full", "memory"):
            job = Job(
                id=f"race:{protocol}:{target}:{path}",
                kind="race",
                name=protocol,
                worker="bench",
                params={"target": str(target), "protocol": protocol},
                inputs={"a": outcome.job, "b": opened[0].job, "samples": "samples"},
                cache=False,
            )
            ended = engine.run([job], outcomes)[job.id]
            if not ended.ok:
                raise from_record(ended.error or {"what": "the race failed", "where": str(path)})
            value = ended.value
            found |= value["a"]
            found |= {f"ratio.{name}": raw for name, raw in value.get("ratio", {}).items()}
            if protocol == "full":
                placement, marks = value["placement"]["a"], value.get("marks", [])
        files.append(
            {
                "path": str(path),
                "size_bytes": outcome.value["artifact"]["size_bytes"],
                "digest": outcome.digest,
                "measurements": found,
                "placement": placement,
                "marks": marks,
            }
        )
    return {"target": str(target), "machine": facts.to_json(), "files": files}


def _open(engine: Engine, path: Path, index: int) -> Outcome:
    recipe = make_recipe({"model": {"path": path.name}}, root=path.parent)
    job = open_job(recipe, {}).model_copy(update={"id": f"open:{index}:{path}"})
    return run_or_raise(engine, [job], {})[job.id]


def _samples(signature: Signature, data: Path | None, store: Store) -> Arrays:
    """Samples for a signature, (n, ...) each, put into the store."""
    import numpy as np

    arrays = {}
    if data is not None:
        try:
            with np.load(data, allow_pickle=False) as archive:
                given = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"cannot read: {error}", where=str(data)) from None
        for tensor in signature.inputs:
            if tensor.name not in given:
                raise DataError(
                    f"no array for the input '{tensor.name}'",
                    where=str(data),
                    hint=f"it has: {', '.join(given)}",
                )
            arrays[tensor.name] = given[tensor.name]
    else:
        rng = np.random.default_rng(0)
        for tensor in signature.inputs:
            fixed = [dim for dim in tensor.shape[1:] if isinstance(dim, int)]
            if len(fixed) < len(tensor.shape[1:]):
                raise UsageError(
                    f"input '{tensor.name}' has free dimensions {list(tensor.shape)}",
                    hint="give real samples with --data FILE.npz",
                )
            shape = (RANDOM_SAMPLES, *fixed)
            kind = np.dtype(tensor.dtype).kind
            values = rng.standard_normal(shape) if kind == "f" else rng.integers(0, 2, shape)
            arrays[tensor.name] = values.astype(tensor.dtype)
    counts = {len(array) for array in arrays.values()}
    if len(counts) != 1 or 0 in counts:
        raise DataError("the arrays differ in their count of samples", where=str(data or ""))
    refs = {name: store.put_array(array) for name, array in arrays.items()}
    raw = Arrays(split="benchmark", n=counts.pop(), arrays=refs)
    return make_tensors(raw, {"bind": bind(raw, [], signature)}, store)
