"""What is trained on: whole arrays, and the batch of each step, derived from the seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edgeopt.schema.errors import DataError

Array = np.ndarray[Any, Any]
MOST_DIGESTED = 256_000_000  # bytes of an array


class Batch(NamedTuple):
    """One step's samples: tensors by input, (b, ...) each; labels (b, ...) or None.

    ``index`` is (b,) int64: where the samples lie in the arrays.
    """

    inputs: dict[str, Any]
    labels: Any
    index: Any
    step: int

    def to(self, device: Any) -> Batch:
        """The same with inputs and labels on a device."""
        inputs = {name: x.to(device) for name, x in self.inputs.items()}
        labels = None if self.labels is None else self.labels.to(device)
        return self._replace(inputs=inputs, labels=labels)


@dataclass(frozen=True)
class Samples:
    """Arrays by input, first axis the sample, and labels. Raises DataError where they differ."""

    inputs: Mapping[str, Array]
    labels: Array | None = None

    def __post_init__(self) -> None:
        counts = {name: len(array) for name, array in self.inputs.items()}
        if self.labels is not None:
            counts["labels"] = len(self.labels)
        if not self.inputs or not all(counts.values()):
            raise DataError("no samples to train on")
        if len(set(counts.values())) > 1:
            raise DataError(f"arrays of different lengths: {counts}")

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def classes(self) -> bool:
        """Whether there are labels and they are classes, rather than values to predict."""
        return self.labels is not None and self.labels.dtype.kind in "iub"

    def digest(self) -> str:
        """Of shapes, all labels and inputs; of long arrays, of samples evenly over them."""
        told = hashlib.sha256()
        for name, array in sorted(self.inputs.items()):
            told.update(f"{name}{array.dtype}{array.shape}".encode())
            every = -(-array.nbytes // MOST_DIGESTED) if array.nbytes else 1
            for part in (array[::every], array[-1:]):
                told.update(np.ascontiguousarray(part).tobytes())
        if self.labels is not None:
            told.update(f"{self.labels.dtype}{self.labels.shape}".encode())
            told.update(np.ascontiguousarray(self.labels).tobytes())
        return told.hexdigest()

    def take(self, index: Array, step: int = 0) -> Batch:
        """The samples at ``index`` (b,), copied into tensors on the CPU."""
        import torch

        inputs = {n: torch.from_numpy(np.array(a[index])) for n, a in self.inputs.items()}
        labels = None
        if self.labels is not None:
            labels = torch.from_numpy(np.array(self.labels[index]))
            labels = labels.float() if labels.is_floating_point() else labels.long()
        return Batch(inputs, labels, torch.from_numpy(np.array(index, np.int64)), step)

    def steps_per_epoch(self, batch: int) -> int:
        """Whole batches an epoch; the rest waits for another order. At least one."""
        return max(1, len(self) // batch)

    def at_step(self, seed: int, step: int, batch: int) -> Array:
        """Where the samples of a step lie: every epoch has an order of its own."""
        epoch, place = divmod(step, self.steps_per_epoch(batch))
        order = np.random.default_rng(derived(seed, "order", epoch)).permutation(len(self))
        return order[place * batch : (place + 1) * batch]


def derived(seed: int, stream: str, number: int) -> int:
    """63 random bits that depend on the three alone."""
    digest = hashlib.sha256(f"{seed}:{stream}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
