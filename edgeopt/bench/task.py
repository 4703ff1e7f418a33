"""What a score or a race is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgeopt.schema.artifact import Artifact, Dim
from edgeopt.schema.job import Arrays
from edgeopt.schema.runtime import runtime_named
from edgeopt.schema.target import Target
from edgeopt.store import Store
from edgeopt.transport.kinds import Lease


@dataclass(frozen=True)
class Side:
    """What takes part: an artifact, where it runs, and its samples."""

    target: Target
    artifact: Artifact
    samples: Arrays
    whole: Mapping[str, Sequence[Dim]] = field(default_factory=dict)  # outputs without samples

    def sizes(self, *, one_size: bool) -> dict[str, list[int | None]]:
        """The shape of each input in an inference: what the target fixes. With ``one_size`` the
        data's sizes are fixed too, else all but the batch is None. Empty where the runtime's
        sessions are made for any."""
        if not self.fixes:
            return {}
        axes = self.samples.axes
        return {
            name: self._placed(ref.shape, axes.get(name, 0), one_size)
            for name, ref in self.samples.arrays.items()
        }

    def _placed(self, shape: Sequence[int], axis: int | None, one_size: bool) -> list[int | None]:
        """The batch on the axis of the samples, which lie first in the data; a constant's own."""
        if axis is None:
            return list(shape)
        sizes: list[int | None] = [n if one_size else None for n in shape[1:]]
        return [*sizes[:axis], self.target.batch, *sizes[axis:]]

    @property
    def fixes(self) -> bool:
        """Whether the runtime's sessions are made for the target's batch alone."""
        return runtime_named(self.target.runtime).fixes_shapes

    @property
    def feed(self) -> str:
        """The samples' name in the agent: equal ones are sent once."""
        return self.samples.digest


@dataclass(frozen=True)
class Task:
    """What is measured, by side. Sides share device, threads and batch.

    ``allow_fallback``: nodes may run elsewhere than on the accelerator asked for. ``one_size``: all
    samples that the model will meet have the sizes of these.
    """

    sides: Mapping[str, Side]
    allow_fallback: bool = False
    one_size: bool = True

    @property
    def batch(self) -> int:
        """Samples an inference."""
        return self._any.target.batch

    @property
    def threads(self) -> int:
        """Threads an inference."""
        return self._any.target.threads

    @property
    def device(self) -> str:
        """Where all of it runs."""
        return self._any.target.device

    @property
    def n(self) -> int:
        """Count of samples."""
        return self._any.samples.n

    @property
    def _any(self) -> Side:
        return next(iter(self.sides.values()))

    def put(self, lease: Lease, store: Store) -> None:
        """Bring all files to the device."""
        digests: set[str] = set()
        for side in self.sides.values():
            digests.update(side.artifact.files.values())
            digests.update(ref.blob for ref in side.samples.arrays.values())
        lease.put({digest: store.path(digest) for digest in sorted(digests)})
