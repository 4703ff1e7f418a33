"""What the engine calls for jobs of the kinds ``score`` and ``race``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeopt.schema.artifact import Artifact
from edgeopt.schema.errors import DeviceError, UsageError, did_you_mean
from edgeopt.schema.job import Arrays, Request
from edgeopt.schema.target import Target, parse_target
from edgeopt.store import Store

ROLES = {"score": ("model",), "race": ("a", "b")}


def run_bench(
    request: Request, progress: Callable[..., None], cancelled: threading.Event
) -> tuple[str, dict[str, Any]]:
    """Digest and value of a score or a race; ``progress(done, total, **figures)`` on the way.

    ``cancelled`` ends it within a fraction of a second, its agents killed: a DeviceError. A
    race takes the bench lock alone; a score's caller holds it shared. Raises EdgeoptError.
    """
    from edgeopt.bench.peak import memory
    from edgeopt.bench.race import SCHEDULES, race
    from edgeopt.bench.rig import Task
    from edgeopt.bench.score import score
    from edgeopt.devices import device_named

    job = request.job
    protocol = str(job.params.get("protocol", "full"))
    if job.kind == "race" and protocol not in (*SCHEDULES, "memory"):
        known = did_you_mean(protocol, [*SCHEDULES, "memory"])
        raise UsageError(f"no race '{protocol}'", where=job.id, hint=known)
    target = parse_target(str(job.params["target"]))
    artifacts = {role: _artifact(request, role, target) for role in ROLES[job.kind]}
    samples = Arrays.model_validate(request.inputs["samples"].value)
    task = Task(target=target, artifacts=artifacts, samples=samples)
    workdir = Path(request.workdir)
    lend = device_named(target.device).lease
    with (
        Store(request.store) as store,
        lend(workdir, exclusive=job.kind == "race", cancelled=cancelled) as lease,
    ):
        if job.kind == "score":
            return score(task, lease, store, workdir, progress)
        if protocol == "memory":
            return memory(task, lease, store, progress)
        return race(task, lease, store, SCHEDULES[protocol], progress)


def _artifact(request: Request, role: str, target: Target) -> Artifact:
    """The artifact of a role. Raises DeviceError where the target's runtime cannot read it."""
    artifact = Artifact.model_validate(request.inputs[role].value["artifact"])
    if artifact.format != target.format:
        raise DeviceError(
            f"{target.runtime} reads {target.format}, not {artifact.format}",
            where=f"{request.job.id}: {role}",
        )
    return artifact
