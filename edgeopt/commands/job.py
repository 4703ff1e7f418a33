"""Offline jobs: one file that a board without a network runs by hand, and its result taken back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgeopt.agent import protocol
from edgeopt.bench.jobs import run_bench
from edgeopt.bench.packed import (
    RESULT_MAX,
    PackedJob,
    PackedModel,
    PackedResult,
    Plan,
    outputs_of,
    race_value,
)
from edgeopt.bench.race import SCHEDULES
from edgeopt.bench.task import Side
from edgeopt.commands.model_files import fed, opened
from edgeopt.commands.samples import samples_for
from edgeopt.data.quantized import dequantized
from edgeopt.engine import Engine
from edgeopt.evaluation import compute, default_metrics
from edgeopt.schema.artifact import BATCH, Artifact, Description, Tensor
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.schema.event import Event
from edgeopt.schema.job import Outcome
from edgeopt.schema.result import Result
from edgeopt.schema.target import parse_target
from edgeopt.store import Store
from edgeopt.transport.pack import JOB_MAIN, archive

OnEvent = Callable[[Event], None]
FIDELITY = ("fidelity.cosine", "fidelity.sqnr")
KEY = "offline job"


def export_job(
    paths: Sequence[Path],
    target: str,
    *,
    data: Path | None,
    processes: int,
    store: Store,
    on_event: OnEvent,
) -> bytes:
    """The archive that scores the files and races each against the first.

    Raises UsageError for a target that one runtime does not make, and for a file that it does
    not read; what ``benchmark_files`` raises.
    """
    place = parse_target(target)
    if place.every:
        raise UsageError("an offline job is for one runtime", where=target)
    with Engine(store, on_event=on_event, bench=run_bench) as engine:
        outcomes = [opened(engine, path, index) for index, path in enumerate(paths)]
    descriptions = [Description.model_validate(o.value["description"]) for o in outcomes]
    raw = samples_for(descriptions[0], data, store)
    models: list[PackedModel] = []
    blobs: set[str] = set()
    for path, outcome, d in zip(paths, outcomes, descriptions, strict=True):
        artifact = Artifact.model_validate(outcome.value["artifact"])
        if not place.reads(artifact.format):
            reads = f"{place.runtime} reads {' and '.join(place.formats)}"
            raise UsageError(f"{reads}, not {artifact.format}", where=str(path))
        tensors = fed(path, paths[0], raw, descriptions[0].signature, d, store)
        feeds = {name: ref.blob for name, ref in tensors.arrays.items()}
        blobs |= {*artifact.files.values(), *feeds.values()}
        models.append(
            PackedModel(
                name=path.name, files=artifact.files, blobs=feeds, n=tensors.n,
                size_bytes=artifact.size_bytes,
                outputs=tuple(t.name for t in d.signature.outputs), axes=tensors.axes,
                sampled=tensors.outputs, whole=d.signature.whole,
                fixed=Side(place, artifact, tensors).sizes(one_size=True),
            )
        )  # fmt: skip
    full = SCHEDULES["full"]
    job = PackedJob(
        target=str(place),
        **place.model_dump(include={"runtime", "accelerator", "threads", "batch"}),
        settings=place.choices,
        schedule=Plan(processes=processes, turns=full.turns, turn_ms=full.turn_ms,
                      warm_ms=full.warm_ms, process_s=full.process_s),
        models=tuple(models),
        data=data.name if data else "random",
    )  # fmt: skip
    plain = job.to_json()
    key = digest_of({KEY: plain})
    value = {"job": plain, "outputs": [_tensors(d) for d in descriptions]}
    store.keep(Outcome(job=KEY, status="ok", key=key, digest=store.put_json(plain), value=value))
    content = {f"blobs/{digest}": store.get_bytes(digest) for digest in sorted(blobs)}
    return archive(JOB_MAIN, {"job.json": json.dumps(plain, sort_keys=True).encode(), **content})


def import_job(path: Path, *, store: Store) -> dict[str, Any]:
    """The figures of a result, in the form of ``benchmark_files``.

    Raises DataError for what is no sound result, UsageError for one of a job that was not
    exported from this store, PlacementError.
    """
    result = _read(path)
    kept = store.outcome(digest_of({KEY: result.job}))
    if kept is None:
        raise UsageError(
            "the result is from a job that was not exported from this store, or was changed",
            where=str(path),
            hint=f"import it where it was exported; the store is {store.root}",
        )
    job = PackedJob.model_validate(kept.value["job"])
    if not len(result.scores) == len(result.races) == len(job.models):
        raise DataError(f"the result is not from {len(job.models)} models", where=str(path))
    hello = result.hello
    if hello.protocol != protocol.VERSION or job.runtime not in hello.runtimes:
        raise DataError(
            f"the board has no {job.runtime}, or speaks protocol {hello.protocol} and not "
            f"{protocol.VERSION}", where=str(path),
        )  # fmt: skip
    samples = store.put_json(result.model_dump(mode="json"))
    outputs = [
        _named(outputs_of(score, job, index), kept.value["outputs"][index], str(path))
        for index, score in enumerate(result.scores)
    ]
    files = []
    for index, model in enumerate(job.models):
        value = race_value(result, job, index, samples)
        measured = value["a"] | {f"ratio.{name}": raw for name, raw in value["ratio"].items()}
        for quantity in default_metrics(outputs[0]) if index else ():
            figure = compute(quantity, outputs[index], None, outputs[0])
            measured[quantity] = figure.to_json()
        files.append(
            {
                "path": model.name,
                "target": job.target,
                "size_bytes": model.size_bytes,
                "digest": digest_of({"format": parse_target(job.target).format,
                                     "files": model.files}),
                "measurements": measured,
                "placement": value["placement"]["a"],
                "marks": value["marks"],
            }
        )  # fmt: skip
    raced = {
        "target": job.target,
        "machine": hello.machine.model_dump(mode="json"),
        "runtimes": {job.runtime: hello.runtime_version},
        "files": files,
        "lost": [],
    }
    return {"data": job.data, "targets": [raced], "unreachable": {}, "exit_code": 0}


def chosen_and_reference(result: Result, target: str, store: Store, into: Path) -> tuple[Path, ...]:
    """Model files of a finished result: the reference first, then the chosen. Raises UsageError."""
    runtime = parse_target(target).runtime
    fitting = [t for t in result.targets if parse_target(t.target).runtime in (runtime, "*")]
    if not fitting or fitting[0].chosen is None:
        raise UsageError(f"the result has nothing chosen for {runtime}", where=target)
    target_result = fitting[0]
    paths = []
    for name, id in (("reference", target_result.reference), ("chosen", target_result.chosen)):
        artifact = target_result.candidate(str(id)).artifact
        if artifact is None:
            raise UsageError(f"the {name} was never made", where=target)
        store.checkout(artifact, into / name)
        files = sorted((into / name).iterdir())
        models = [path for path in files if path.suffix in (".onnx", ".tflite")]
        if len(models) != 1:
            raise UsageError(f"the {name} is not a single model file", where=target)
        paths.append(models[0].rename(models[0].with_name(f"{name}{models[0].suffix}"))
                     if len(files) == 1 else models[0])  # fmt: skip
    return tuple(paths)


def _read(path: Path) -> PackedResult:
    try:
        if path.stat().st_size > RESULT_MAX:
            raise DataError(f"larger than {RESULT_MAX >> 20} MB", where=str(path))
        return PackedResult.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(error.strerror or str(error), where=str(path)) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(
            f"not the result of an offline job: {place}: {first['msg']}", where=str(path)
        ) from None


def _tensors(d: Description) -> list[dict[str, Any]]:
    """The outputs as samples are kept: one that has none is the same for each."""
    whole, batch = d.signature.whole, (BATCH,)
    return [
        (
            t.model_copy(update={"shape": batch + t.shape[t.shape[:1] == (1,) :]})
            if t.name in whole
            else t
        ).to_json()
        for t in d.signature.outputs
    ]


def _named(arrays: dict[str, Any], tensors: list[dict[str, Any]], where: str) -> dict[str, Any]:
    """Outputs by their position, as real values. Raises DataError for what is none of them."""
    signed = [Tensor.model_validate(tensor).batch_first for tensor in tensors]
    for (name, array), tensor in zip(arrays.items(), signed, strict=True):
        fixed = [(a, b) for a, b in zip(array.shape, tensor.shape, strict=False)
                 if isinstance(b, int)]  # fmt: skip
        same = len(array.shape) == len(tensor.shape) and all(a == b for a, b in fixed)
        if array.dtype.name != tensor.dtype or not same:
            raise DataError(
                f"output '{name}' is {array.dtype}{list(array.shape)}, not "
                f"{tensor.dtype}{list(tensor.shape)}", where=where,
            )  # fmt: skip
    return {
        f"output {i}": dequantized(array, tensor)
        for i, (array, tensor) in enumerate(zip(arrays.values(), signed, strict=True))
    }
