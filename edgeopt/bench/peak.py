"""Peak memory: one fresh process for each artifact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeopt.bench.rig import rig
from edgeopt.bench.task import Task
from edgeopt.devices import Lease
from edgeopt.schema.measurement import Measurement
from edgeopt.store import Store

INFERENCES = 20
SAMPLES = 64
SIDES = ("a", "b")
PROTOCOL = (
    f"peak resident memory over loading and {INFERENCES} inferences in a fresh process, "
    "less what was resident before"
)

Progress = Callable[..., None]


def memory(
    task: Task, lease: Lease, store: Store, progress: Progress
) -> tuple[str, dict[str, Any]]:
    """Digest of the raw readings and ``{"ratio", "a", "b", "placement", ...}``.

    Runtime and samples are in memory before the first reading. Where the kernel does not let
    a process restart its peak, the figure is marked ``peak-not-reset``: it may then be too
    small. Raises ModelError, DeviceError, PlacementError.
    """
    task.put(lease, store)
    readings: dict[str, dict[str, Any]] = {}
    placed: dict[str, dict[str, int]] = {}
    machines: dict[str, str] = {}
    for done, side in enumerate(SIDES, 1):
        with rig(lease, Task({side: task.sides[side]})) as agent:
            agent.feed(take=SAMPLES, batch=task.batch)
            before = agent.memory(reset=True)
            agent.open(side)
            agent.time([(side, INFERENCES - 1)], timeout_s=300.0)  # and an untimed one before
            after = agent.memory(reset=False)
            placed[side] = agent.placement(side)
            machines[side] = agent.machine(side)
        readings[side] = {"before": before.model_dump(), "after": after.model_dump()}
        progress(done, len(SIDES))
    samples = store.put_json({"protocol": "memory", "unit": "bytes", "readings": readings})
    return samples, _value(readings, placed, machines, samples)


def _value(
    readings: dict[str, dict[str, Any]],
    placed: dict[str, dict[str, int]],
    machines: dict[str, str],
    samples: str,
) -> dict[str, Any]:
    peaks = {
        side: max(0, found["after"]["peak_bytes"] - found["before"]["rss_bytes"])
        for side, found in readings.items()
    }
    reset = all(found["before"]["reset"] for found in readings.values())
    marks = () if reset else ("peak-not-reset",)

    def made(quantity: str, value: float, unit: str, side: str = "a") -> dict[str, Any]:
        measurement = Measurement(
            quantity=quantity,
            value=value,
            unit=unit,
            protocol=PROTOCOL,
            machine=machines[side],
            samples=samples,
            marks=marks,
        )
        return {"memory.peak": measurement.to_json()}

    both = all(peaks.values())
    return {
        "ratio": made("ratio.memory.peak", peaks["a"] / peaks["b"], "x") if both else {},
        **{side: made("memory.peak", peaks[side], "bytes", side) for side in SIDES},
        "placement": placed,
        "processes": 1,
        "marks": list(marks),
        "samples": samples,
    }
