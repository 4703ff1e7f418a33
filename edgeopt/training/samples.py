"""What is trained on: whole arrays, and the batch of each step, derived from the seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from edgeopt.agent.feeds import Axes, as_fed
from edgeopt.schema.errors import DataError
from edgeopt.step import PassContext

Array = np.ndarray[Any, Any]
MOST_DIGESTED = 256_000_000  # bytes of an array


class Target(NamedTuple):
    """Labels of one output: its position and name, and the labels, (n, ...)."""

    position: int
    output: str
    labels: Any


class Batch(NamedTuple):
    """One step's samples: tensors by input, (b, ...) each; labels (b, ...) or None.

    ``index`` is (b,) int64: where the samples lie in the arrays. ``targets`` are the labels by
    output; ``labels`` are those of the first.
    """

    inputs: dict[str, Any]
    labels: Any
    index: Any
    step: int
    targets: tuple[Target, ...] = ()

    @property
    def given_labels(self) -> Any:
        """The labels as a step of the user's own gets them: by output where several have some."""
        return {t.output: t.labels for t in self.targets} if len(self.targets) > 1 else self.labels

    def to(self, device: Any) -> Batch:
        """The same with inputs and labels on a device."""
        inputs = {name: x.to(device) for name, x in self.inputs.items()}
        labels = None if self.labels is None else self.labels.to(device)
        targets = tuple(t._replace(labels=t.labels.to(device)) for t in self.targets)
        return self._replace(inputs=inputs, labels=labels, targets=targets)


@dataclass(frozen=True)
class Samples:
    """Arrays by input, first axis the sample, and labels. Raises DataError where they differ.

    ``targets`` are the labels by output; without them ``labels`` are those of the first output.
    ``axes`` says where the module takes samples, if not first: None of a constant.
    """

    inputs: Mapping[str, Array]
    labels: Array | None = None
    targets: tuple[Target, ...] = ()
    axes: Axes = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = {name: len(array) for name, array in self.inputs.items()}
        if self.labels is not None and not self.targets:
            object.__setattr__(self, "targets", (Target(0, "", self.labels),))
        if self.targets:
            object.__setattr__(self, "labels", self.targets[0].labels)
        counts |= {f"labels {t.output}".strip(): len(t.labels) for t in self.targets}
        if not self.inputs or not all(counts.values()):
            raise DataError("no samples to train on")
        if len(set(counts.values())) > 1:
            raise DataError(f"arrays of different lengths: {counts}")

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def classes(self) -> bool:
        """Whether there are labels and all are classes, rather than values to predict."""
        return bool(self.targets) and all(t.labels.dtype.kind in "iub" for t in self.targets)

    def digest(self) -> str:
        """Of shapes, all labels and inputs; of long arrays, of samples evenly over them."""
        digest = hashlib.sha256()
        for name, array in sorted(self.inputs.items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode())
            every = -(-array.nbytes // MOST_DIGESTED) if array.nbytes else 1
            for part in (array[::every], array[-1:]):
                digest.update(np.ascontiguousarray(part).tobytes())
        for _, output, labels in self.targets:
            digest.update(f"{output}{labels.dtype}{labels.shape}".encode())
            digest.update(np.ascontiguousarray(labels).tobytes())
        return digest.hexdigest()

    def take(self, index: Array, step: int = 0) -> Batch:
        """The samples at ``index`` (b,), copied into tensors on the CPU."""
        fed = as_fed({name: array[index] for name, array in self.inputs.items()}, self.axes)
        inputs = {name: torch.from_numpy(np.array(array)) for name, array in fed.items()}
        targets = []
        for target in self.targets:
            labels = torch.from_numpy(np.array(target.labels[index]))
            labels = labels.float() if labels.is_floating_point() else labels.long()
            targets.append(target._replace(labels=labels))
        first = targets[0].labels if targets else None
        at = torch.from_numpy(np.array(index, np.int64))
        return Batch(inputs, first, at, step, tuple(targets))

    def steps_per_epoch(self, batch: int) -> int:
        """Whole batches an epoch; the rest waits for another order. At least one."""
        return max(1, len(self) // batch)

    def at_step(self, seed: int, step: int, batch: int) -> Array:
        """Where the samples of a step lie: every epoch has an order of its own."""
        epoch, place = divmod(step, self.steps_per_epoch(batch))
        order = np.random.default_rng(derived(seed, "order", epoch)).permutation(len(self))
        return order[place * batch : (place + 1) * batch]


def samples_of(ctx: PassContext, split: str) -> Samples:
    """What a pass may train on of a split, its labels at the outputs that they speak of."""
    return Samples(ctx.data(split), None, targets_of(ctx, split), ctx.axes)


def targets_of(ctx: PassContext, split: str) -> tuple[Target, ...]:
    """The labels of a split that a pass may see, each at the output that it speaks of."""
    places = [tensor.name for tensor in ctx.description.signature.outputs]
    return tuple(
        Target(places.index(output) if output in places else 0, output, labels)
        for output, labels in ctx.labelled(split).items()
    )


def derived(seed: int, stream: str, number: int) -> int:
    """63 random bits that depend on the three alone."""
    digest = hashlib.sha256(f"{seed}:{stream}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
