"""A few model files raced without a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeopt.bench.jobs import race_job, run_bench
from edgeopt.commands.model_files import fed, fed_with, opened, runnable
from edgeopt.commands.samples import samples_for
from edgeopt.engine import Engine
from edgeopt.pipeline.targets import target_groups
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import (
    DeviceError,
    EdgeoptError,
    UnreachableError,
    UsageError,
    from_record,
)
from edgeopt.schema.event import Event
from edgeopt.schema.job import Outcome
from edgeopt.schema.target import Target, TargetFacts, TargetGroup, parse_target
from edgeopt.store import Store
from edgeopt.transport.kinds import works_here

OnEvent = Callable[[Event], None]


def benchmark_files(
    paths: Sequence[Path],
    *,
    targets: Sequence[str] = ("local/*",),
    data: Path | None = None,
    shapes: Mapping[str, int] | None = None,
    allow_fallback: bool = False,
    store: Store,
    on_event: OnEvent = lambda _event: None,
) -> dict[str, Any]:
    """Race model files: each one in full against the first, which races itself.

    Where a target stands for several runtimes, a file races in each that reads it; the first
    file in the first of them is what all race against. A runtime that fails with a file is told
    of under ``lost``, as long as another one ran it. Inputs are matched by name, or else by
    position; images may be NCHW in one file and NHWC in another. ``data`` is an .npz with an
    array for each input of the first file, as ``samples_for`` reads it; random samples otherwise,
    whose free dimensions other than the batch are as large as ``shapes`` says, by dimension or by
    INPUT:AXIS.
    Targets out of reach are named under ``unreachable`` and the others go on.
    Raises UsageError, ModelError, DeviceError.
    """
    if not paths:
        raise UsageError("name at least one model file")
    groups, unreachable = target_groups(map(parse_target, targets))
    lost: dict[str, DeviceError] = dict(unreachable)
    for error in lost.values():
        on_event(Event(what="note", text=str(error)))
    with Engine(store, on_event=on_event, bench=run_bench) as engine:
        sources = [opened(engine, path, index) for index, path in enumerate(paths)]
        descriptions = [Description.model_validate(o.value["description"]) for o in sources]
        outcomes = {o.job: o for o in sources}
        raw = samples_for(descriptions[0], data, store, sizes=shapes or {})
        first = descriptions[0].signature
        for path, outcome, description in zip(paths, sources, descriptions, strict=True):
            ready = fed_with(outcome, fed(path, paths[0], raw, first, description, store))
            outcomes[ready.job] = ready
        raced = []
        for group in groups:
            try:
                raced.append(_race_all(engine, group, paths, sources, outcomes, allow_fallback))
            except DeviceError as error:
                if works_here(group.asked.device):
                    raise
                lost[str(group)] = error
    if not raced:
        raise next(iter(lost.values()))
    return {
        "data": str(data) if data else "random",
        "targets": raced,
        "unreachable": {target: error.record() for target, error in lost.items()},
        "exit_code": 5 if lost else 0,
    }


def _race_all(
    engine: Engine,
    group: TargetGroup,
    paths: Sequence[Path],
    sources: Sequence[Outcome],
    outcomes: dict[str, Outcome],
    allow_fallback: bool,
) -> dict[str, Any]:
    rows = [
        (path, outcome, target)
        for path, outcome in zip(paths, sources, strict=True)
        for target, _ in group.members
        if target.reads(outcome.value["artifact"]["format"]) or not group.asked.every
    ]
    for path, outcome in zip(paths, sources, strict=True):
        if not any(row[1] is outcome for row in rows):
            raise UsageError(
                f"no runtime of {group} reads {outcome.value['artifact']['format']}",
                where=str(path),
                hint="see 'edgeopt doctor' for what to install",
            )
    facts = group.members[0][1]
    raced: list[dict[str, Any]] = []
    lost: list[tuple[Raced, EdgeoptError]] = []
    for row in rows:
        try:
            raced.append(_raced(engine, row, rows[0], facts, outcomes, allow_fallback))
        except UnreachableError:
            raise
        except EdgeoptError as error:
            if row is rows[0]:
                raise
            lost.append((row, error))
    ran = {file["path"] for file in raced}
    for (path, _, _), failed in lost:
        if str(path) not in ran:
            raise failed
    return {
        "target": str(group),
        "machine": facts.to_json(),
        "runtimes": {target.runtime: each.runtime_version for target, each in group.members},
        "files": raced,
        "lost": [
            {"path": str(path), "target": str(target), "error": failed.record()}
            for (path, _, target), failed in lost
        ],
    }


Raced = tuple[Path, Outcome, Target]


def _raced(
    engine: Engine,
    row: Raced,
    first: Raced,
    facts: TargetFacts,
    outcomes: dict[str, Outcome],
    allow_fallback: bool,
) -> dict[str, Any]:
    """All figures of one file in one runtime."""
    path, outcome, target = row
    measured: dict[str, Any] = {}
    timed = ["full", *(["memory"] if "memory" in facts.quantities else [])]
    for protocol in timed if "latency" in facts.quantities else ["count"]:
        job = race_job(
            f"race:{protocol}:{target}:{path}",
            runnable(outcome, target),
            runnable(*first[1:]),
            protocol,
            allow_fallback=allow_fallback,
        )
        ended = engine.run([job], outcomes)[job.id]
        if not ended.ok:
            raise from_record(ended.error or {"what": "the race failed", "where": str(path)})
        value = ended.value
        measured |= value["a"]
        measured |= {f"ratio.{name}": raw for name, raw in value.get("ratio", {}).items()}
        if protocol != "memory":
            placement, marks = value["placement"]["a"], value.get("marks", [])
    return {
        "path": str(path),
        "target": str(target),
        "size_bytes": outcome.value["artifact"]["size_bytes"],
        "digest": outcome.digest,
        "measurements": measured,
        "placement": placement,
        "marks": marks,
    }
