"""Peak memory: one fresh process for each artifact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgeopt.bench.agent_session import FALLBACK, agent_session
from edgeopt.bench.task import Task
from edgeopt.schema.measurement import Measurement
from edgeopt.store import Store
from edgeopt.transport.kinds import Lease

INFERENCES = 20
SAMPLES = 64
SIDES = ("a", "b")
PROTOCOL = (
    f"peak resident memory over loading and {INFERENCES} inferences in a fresh process, "
    "less what was resident just before the model was loaded"
)
ON_ACCELERATOR = (
    f"most bytes that the runtime held on the accelerator over loading and {INFERENCES} inferences "
    "in a fresh process"
)

Progress = Callable[..., None]


def memory(
    task: Task, lease: Lease, store: Store, progress: Progress
) -> tuple[str, dict[str, Any]]:
    """Digest of the raw readings and ``{"ratio", "a", "b", "placement", ...}``.

    Runtime and samples are in memory before the first reading. Where the kernel does not let
    a process restart its peak, the figure is marked ``peak-not-reset``: it may then be too
    large. Raises ModelError, DeviceError, PlacementError.
    """
    task.put(lease, store)
    readings: dict[str, dict[str, Any]] = {}
    placed: dict[str, dict[str, int]] = {}
    machines: dict[str, str] = {}
    fell = False
    for done, side in enumerate(SIDES, 1):
        with agent_session(lease, replace(task, sides={side: task.sides[side]})) as agent:
            agent.feed(take=SAMPLES, batch=task.batch)
            before = agent.memory(reset=True)
            agent.open(side)
            agent.time([(side, INFERENCES - 1)], timeout_s=300.0)  # and an untimed one before
            after = agent.memory(reset=False)
            placed[side] = agent.placement(side)
            machines[side] = agent.machine(side)
            fell = fell or bool(agent.fallbacks)
        readings[side] = {"before": before.model_dump(), "after": after.model_dump()}
        progress(done, len(SIDES))
    samples = store.put_json({"protocol": "memory", "unit": "bytes", "readings": readings})
    return samples, _value(readings, placed, machines, samples, [FALLBACK] if fell else [])


def _value(
    readings: dict[str, dict[str, Any]],
    placed: dict[str, dict[str, int]],
    machines: dict[str, str],
    samples: str,
    marks: list[str],
) -> dict[str, Any]:
    """Memory on the accelerator where the runtime tells it, else resident memory."""
    there = {side: reading["after"]["accelerator_bytes"] for side, reading in readings.items()}
    peaks = {
        side: there[side] or max(0, reading["after"]["peak_bytes"] - reading["before"]["rss_bytes"])
        for side, reading in readings.items()
    }
    reset = all(reading["before"]["reset"] for reading in readings.values())
    marks = marks + ([] if reset else ["peak-not-reset"])

    def measured(quantity: str, value: float, unit: str, side: str = "a") -> dict[str, Any]:
        measurement = Measurement(
            quantity=quantity,
            value=value,
            unit=unit,
            protocol=ON_ACCELERATOR if there[side] else PROTOCOL,
            machine=machines[side],
            samples=samples,
            marks=tuple(marks),
        )
        return {"memory.peak": measurement.to_json()}

    both = all(peaks.values()) and bool(there["a"]) == bool(there["b"])  # else of two kinds
    return {
        "ratio": measured("ratio.memory.peak", peaks["a"] / peaks["b"], "x") if both else {},
        **{side: measured("memory.peak", peaks[side], "bytes", side) for side in SIDES},
        "placement": placed,
        "processes": 1,
        "marks": marks,
        "samples": samples,
    }
