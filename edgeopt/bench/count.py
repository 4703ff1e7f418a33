"""Counts: the instructions of single inferences, artifact and reference in one agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgeopt.bench.agent_session import agent_session
from edgeopt.bench.task import Task
from edgeopt.schema.errors import DeviceError
from edgeopt.schema.measurement import Measurement
from edgeopt.store import Store
from edgeopt.transport.kinds import Lease

SIDES = ("a", "b")
SAMPLES = 16
WARM = 3  # uncounted inferences before each side's
FEW, MOST = 5, 20  # repeats a side: few where they agree, at most so many
SPREAD = 0.001  # of the greatest and the least count over their median
CLASSES = ("vector_mac", "vector_other", "load_store", "branch", "scalar")
COUNTERS = (*CLASSES, "loaded", "stored")
PROTOCOL = (
    "executed guest instructions of one inference, the call in Python with it and the mark's own "
    "taken off; {n} repeats in one process spread by {spread:.3%}"
)

Progress = Callable[..., None]


def count(task: Task, lease: Lease, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Digest of the raw counts and ``{"ratio", "a", "b", "placement", ...}``.

    A count hardly varies, so repeats stop early where their spread is within 0.1%; one that
    stays wider is marked ``wide``. Raises ModelError, DeviceError, PlacementError.
    """
    task.put(lease, store)
    with agent_session(lease, task) as agent:
        agent.feed(take=SAMPLES, batch=task.batch)
        for side in SIDES:
            agent.open(side)
        placed = {side: agent.placement(side) for side in SIDES}
        machines = {side: agent.machine(side) for side in SIDES}
        counted = dict(zip(("mark", *SIDES), agent.count([(s, FEW) for s in SIDES], WARM),
                           strict=True))  # fmt: skip
        progress(1, 1)
        if any(spread(_net(counted, side)) > SPREAD for side in SIDES):
            more = agent.count([(side, MOST - FEW) for side in SIDES], WARM)
            for name, counts in zip(counted, more, strict=True):
                counted[name] = np.concatenate([counted[name], counts])
    raw = {name: counts.tolist() for name, counts in counted.items()}
    samples = store.put_json({"protocol": "count", "counters": COUNTERS, "pairs": raw})
    return samples, _value(counted, machines, placed, samples)


def spread(instructions: np.ndarray) -> float:
    """Greatest less least, over the median."""
    return float(np.ptp(instructions) / np.median(instructions))


def _net(counted: Mapping[str, np.ndarray], side: str) -> np.ndarray:
    """Instructions of each inference, what a mark costs taken off: (n,). Raises DeviceError."""
    found = (counted[side] - np.median(counted["mark"], axis=0)).clip(min=0)
    total: np.ndarray = found[:, : len(CLASSES)].sum(axis=1)
    if not (total > 0).all():
        raise DeviceError("the emulator counted no instructions", where=side)
    return total


def _value(
    counted: Mapping[str, np.ndarray],
    machines: Mapping[str, str],
    placed: dict[str, dict[str, int]],
    samples: str,
) -> dict[str, Any]:
    totals = {side: _net(counted, side) for side in SIDES}
    spreads = {side: spread(total) for side, total in totals.items()}
    marks = {side: ("wide",) if spreads[side] > SPREAD else () for side in SIDES}
    sides = {}
    for side in SIDES:
        frame = {
            "n": len(totals[side]),
            "protocol": PROTOCOL.format(n=len(totals[side]), spread=spreads[side]),
            "machine": machines[side],
            "samples": samples,
            "marks": marks[side],
        }
        net = (counted[side] - np.median(counted["mark"], axis=0)).clip(min=0)
        sides[side] = {"instructions": _measured("instructions", "count", totals[side], frame)}
        for index, name in enumerate(COUNTERS):
            quantity = f"bytes.{name}" if index >= len(CLASSES) else f"instructions.{name}"
            unit = "bytes" if index >= len(CLASSES) else "count"
            sides[side][quantity] = _measured(quantity, unit, net[:, index], frame)
    value, low, high = _over(totals["a"], totals["b"])
    both = Measurement(
        quantity="ratio.instructions",
        value=value,
        low=low,
        high=high,
        unit="x",
        n=min(map(len, totals.values())),
        protocol=f"medians of both in one process; spreads {spreads['a']:.3%}, {spreads['b']:.3%}",
        machine=" against ".join(dict.fromkeys(machines.values())),
        samples=samples,
        marks=tuple(dict.fromkeys(marks["a"] + marks["b"])),
    )
    return {
        "ratio": {"instructions": both.to_json()},
        **sides,
        "placement": placed,
        "processes": 1,
        "marks": list(both.marks),
        "samples": samples,
    }


def _measured(
    quantity: str, unit: str, values: np.ndarray, frame: Mapping[str, Any]
) -> dict[str, Any]:
    """The median; its interval goes from the least to the greatest, none where they agree."""
    low, high = float(values.min()), float(values.max())
    ends: dict[str, Any] = {} if low == high else {"low": low, "high": high}
    value = float(np.median(values))
    return Measurement(quantity=quantity, value=value, unit=unit, **ends, **frame).to_json()


def _over(mine: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """The ratio of medians, and the least and greatest that the repeats allow."""
    value = float(np.median(mine) / np.median(theirs))
    return value, float(mine.min() / theirs.max()), float(mine.max() / theirs.min())
