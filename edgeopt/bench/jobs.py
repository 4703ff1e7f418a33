"""Jobs of the kinds ``score`` and ``race``: how they are written, and what the engine calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from edgeopt.bench.count import count
from edgeopt.bench.peak import memory
from edgeopt.bench.race import SCHEDULES, race
from edgeopt.bench.score import score
from edgeopt.bench.task import Side, Task
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.errors import DeviceError, UsageError, did_you_mean
from edgeopt.schema.job import Arrays, Job, Request
from edgeopt.schema.runtime import runtime_named
from edgeopt.schema.target import Target, parse_target
from edgeopt.store import Store
from edgeopt.transport.kinds import Device, device_named

SIZES, BATCH = "sizes", "batch"  # what a session is made for: all sizes, or the batch alone
ROLES = {"score": ("model",), "race": ("a", "b")}


class Runnable(NamedTuple):
    """An artifact on a target: the job that makes it, and the one that makes its samples.

    ``one_size``: all samples that it will meet have the sizes of these.
    """

    target: Target
    model: str
    samples: str
    one_size: bool = True


def score_job(
    id: str,
    model: Runnable,
    *,
    first: int = 0,
    check: str = "",
    key: Mapping[str, str] | None = None,
    allow_fallback: bool = False,
    cache: bool = True,
) -> Job:
    """The job that asks a model for its outputs on all samples, or on the ``first`` ones.

    ``check`` is the id of the job that must have found it sound.
    """
    return Job(
        id=f"{id} (first {first})" if first else id,
        kind="score",
        name=model.target.runtime,
        worker="bench",
        params={
            "targets": {"model": str(model.target)},
            **({"first": first} if first else {}),
            **_shapes(model),
            **_leave(allow_fallback),
        },
        inputs={"model": model.model, "samples:model": model.samples},
        needs=(check,) if check else (),
        key=dict(key or {}),
        cache=cache,
    )


def race_job(
    id: str,
    a: Runnable,
    b: Runnable,
    protocol: str,
    *,
    processes: int = 0,
    earlier: str = "",
    allow_fallback: bool = False,
) -> Job:
    """The job that measures ``a`` over ``b``; its ``protocol`` is one of ``bench.race.SCHEDULES``,
    ``memory`` or ``count``. No race is taken from the cache.

    ``processes``: exactly so many in all, instead of as many as the schedule says. ``earlier`` is
    the id of a race of the same two, whose processes are the first of these.
    """
    sides = {"a": a, "b": b}
    before = {"earlier": earlier} if earlier else {}
    return Job(
        id=id,
        kind="race",
        name=protocol,
        worker="bench",
        params={
            "targets": {role: str(side.target) for role, side in sides.items()},
            "protocol": protocol,
            **({"processes": processes} if processes else {}),
            **_shapes(a, b),
            **_leave(allow_fallback),
        },
        inputs={role: side.model for role, side in sides.items()}
        | {f"samples:{role}": side.samples for role, side in sides.items()}
        | before,
        cache=False,
    )


def _shapes(*sides: Runnable) -> dict[str, str]:
    """What sessions are made for, where a runtime makes them for something: scores depend on it."""
    if not any(runtime_named(side.target.runtime).fixes_shapes for side in sides):
        return {}
    return {"fixed": SIZES if all(side.one_size for side in sides) else BATCH}


def _leave(allow_fallback: bool) -> dict[str, bool]:
    """What a job is allowed: nothing, unless it was asked for."""
    return {"allow_fallback": True} if allow_fallback else {}


def run_bench(
    request: Request, progress: Callable[..., None], cancelled: threading.Event
) -> tuple[str, dict[str, Any]]:
    """Digest and value of a score or a race; ``progress(done, total, **figures)`` on the way.

    ``cancelled`` ends it within a fraction of a second, its agents killed: a DeviceError. A
    race on this machine takes the bench lock alone; a score's caller holds it shared. Raises
    EdgeoptError.
    """
    job = request.job
    protocol = str(job.params.get("protocol", "full"))
    if job.kind == "race" and protocol not in (*SCHEDULES, "memory", "count"):
        known = did_you_mean(protocol, [*SCHEDULES, "memory", "count"])
        raise UsageError(f"no race '{protocol}'", where=job.id, hint=known)
    sides = {role: _side(request, role) for role in ROLES[job.kind]}
    task = Task(
        sides,
        allow_fallback=bool(job.params.get("allow_fallback", False)),
        one_size=job.params.get("fixed", SIZES) == SIZES,
    )
    _check_fair(request, task)
    device = next(iter(sides.values())).target.device
    workdir = Path(request.workdir)
    if job.kind == "race":
        _check_measures(device_named(device), protocol, job.id)
    lend = device_named(device).lease
    first = int(job.params.get("first", 0))
    with (
        Store(request.store) as store,
        lend(
            workdir,
            exclusive=job.kind == "race",
            cancelled=cancelled,
            note=lambda text: progress(0, note=text),
        ) as lease,
    ):
        if job.kind == "score":
            return score(task, lease, store, workdir, progress, first)
        if protocol == "memory":
            return memory(task, lease, store, progress)
        if protocol == "count":
            return count(task, lease, store, progress)
        schedule, earlier = SCHEDULES[protocol], request.inputs.get("earlier")
        if processes := int(job.params.get("processes", 0)):
            schedule = schedule.taking(processes)
        samples = earlier.digest if earlier else ""
        return race(task, lease, store, schedule, progress, samples)


def _side(request: Request, role: str) -> Side:
    """One side of a job. Raises DeviceError where the target's runtime cannot read the artifact.

    ``params["targets"]`` names the target of each role, ``inputs`` its artifact under the
    role's name and its samples under ``samples:ROLE``.
    """
    target = parse_target(str(request.job.params["targets"][role]))
    artifact = Artifact.model_validate(request.inputs[role].value["artifact"])
    if not target.reads(artifact.format):
        raise DeviceError(
            f"{target.runtime} reads {' and '.join(target.formats)}, not {artifact.format}",
            where=f"{request.job.id}: {role}",
        )
    samples = Arrays.model_validate(request.inputs[f"samples:{role}"].value)
    described = request.inputs[role].value.get("description")
    whole = Description.model_validate(described).signature.whole if described else {}
    return Side(target, artifact, samples, whole)


def _check_measures(device: Device, protocol: str, where: str) -> None:
    """Raise UsageError for a race by a quantity that the device lacks: never time emulation."""
    quantity = {"count": "instructions", "memory": "memory"}.get(protocol, "latency")
    if quantity not in device.quantities:
        raise UsageError(f"{device.name} does not measure {quantity}", where=where)


def _check_fair(request: Request, task: Task) -> None:
    """Raise UsageError unless all sides run on one device, with equal threads and batch."""
    first, *others = (side.target for side in task.sides.values())
    for other in others:
        if (other.device, other.threads, other.batch) != (first.device, first.threads, first.batch):
            raise UsageError(f"{first} and {other} cannot race", where=request.job.id)
