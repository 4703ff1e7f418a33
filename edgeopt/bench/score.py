"""A score: an artifact's raw outputs for every sample of a split."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.agent import protocol
from edgeopt.bench.agent_session import FALLBACK, AgentSession, agent_session
from edgeopt.bench.task import Task
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import DeviceError, ModelError
from edgeopt.store import Store
from edgeopt.transport.kinds import Lease

BATCH = 32  # where model and runtime leave it free
SLOW_BATCH = 4  # the same where samples are bounded, for the proof of placement runs one too
SIDE = "model"
CHUNK_BYTES, CHUNK_S = 1 << 24, 1.0  # of outputs in one answer
ROOM_SHARE = 0.5  # of the free disk that one output may take

Progress = Callable[..., None]


def score(
    task: Task, lease: Lease, store: Store, workdir: Path, progress: Progress, first: int = 0
) -> tuple[str, dict[str, Any]]:
    """Digest and value ``{"outputs": {name: ArrayRef}, "order", "placement", "marks", "n"}``.

    ``first`` bounds the samples, for devices on which all of them take too long; 0: all.
    Raises ModelError for outputs that are not finite, change their shape, or have no first
    axis of samples, naming the tensor; DeviceError, PlacementError.
    """
    task.put(lease, store)
    n = min(task.n, first) if first else task.n
    with agent_session(lease, task) as agent:
        opened = agent.open(SIDE)
        batch = opened.batch or _batch(task, bounded=bool(first))
        pad = opened.batch is not None or task.sides[SIDE].fixes
        agent.feed(take=batch, batch=batch)
        placed = agent.placement(SIDE)
        marks = [FALLBACK] if agent.fallbacks else []
        outputs = Outputs(opened.outputs, n, workdir)
        for start, stop, chunk in _chunks(agent, n, batch, pad):
            outputs.take(start, stop, chunk)
            progress(stop, n)
    refs = {name: store.put_array(array) for name, array in outputs.arrays.items()}
    value = {
        "outputs": {name: ref.to_json() for name, ref in refs.items()},
        "order": opened.outputs,  # kept JSON has its keys sorted
        "placement": placed,
        "marks": marks,
        "n": n,
    }
    return digest_of({name: ref.blob for name, ref in refs.items()}), value


def _batch(task: Task, *, bounded: bool) -> int:
    """Samples an inference where the model leaves it free: as raced, where that may matter."""
    if task.sides[SIDE].fixes:
        return task.batch
    return SLOW_BATCH if bounded else BATCH


def _chunks(agent: AgentSession, n: int, batch: int, pad: bool) -> Any:
    """(start, stop, outputs), whole batches each: one first, then what a second brings."""
    start, size = 0, batch
    while start < n:
        stop = min(n, start + size)
        began = time.monotonic()
        chunk = agent.run(SIDE, start, stop, batch, pad=pad)
        taken = max(time.monotonic() - began, 1e-4) / (stop - start)
        yield start, stop, chunk
        each = max(1, sum(array.nbytes for array in chunk.values()) // (stop - start))
        size = int(max(1, min(CHUNK_S / taken, CHUNK_BYTES / each) // batch)) * batch
        start = stop


class Outputs:
    """Outputs of all samples in files below a folder, checked as they come."""

    def __init__(self, names: list[str], n: int, folder: Path) -> None:
        self._names, self._n, self._folder = names, n, folder
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}

    def take(self, start: int, stop: int, chunk: protocol.Arrays) -> None:
        """Keep the outputs of samples ``start`` to ``stop``. Raises ModelError, DeviceError."""
        if list(chunk) != self._names:
            raise DeviceError(f"agent gave outputs {list(chunk)}, not {self._names}")
        for index, (name, array) in enumerate(chunk.items()):
            if array.ndim == 0 or len(array) != stop - start:
                raise DeviceError(
                    f"agent gave {array.shape} for {stop - start} samples", where=name
                )
            if name not in self.arrays:
                self._check_room(name, self._n * array.nbytes // len(array))
                self.arrays[name] = np.lib.format.open_memmap(
                    self._folder / f"output-{index}.npy",
                    mode="w+",
                    dtype=array.dtype,
                    shape=(self._n, *array.shape[1:]),
                )
            kept = self.arrays[name]
            if (array.dtype, array.shape[1:]) != (kept.dtype, kept.shape[1:]):
                raise ModelError(
                    f"output changes from {kept.dtype}{list(kept.shape[1:])} to "
                    f"{array.dtype}{list(array.shape[1:])} at sample {start}",
                    where=name,
                    hint="outputs must have one shape for all samples",
                )
            _check_numbers(name, array, start)
            kept[start:stop] = array

    def _check_room(self, name: str, size: int) -> None:
        """A device that claims large outputs must not fill the host's disk."""
        free = shutil.disk_usage(self._folder).free
        if size > free * ROOM_SHARE:
            raise DeviceError(
                f"outputs of {self._n} samples would take {size / 1e9:,.1f} GB", where=name,
                hint=f"{free / 1e9:,.1f} GB are free; score fewer samples, or make room",
            )  # fmt: skip


def _check_numbers(name: str, array: np.ndarray[Any, Any], start: int) -> None:
    if array.dtype.kind == "f":
        bad = np.isnan(array).reshape(len(array), -1).any(axis=1)
        if bad.any():
            raise ModelError(f"output '{name}' is NaN for sample {start + int(bad.argmax())}")
