"""What a score or a race is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgeopt.schema.artifact import Artifact, Dim
from edgeopt.schema.job import Arrays
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

    @property
    def feed(self) -> str:
        """The samples' name in the agent: equal ones are sent once."""
        return self.samples.digest


@dataclass(frozen=True)
class Task:
    """What is measured, by side. Sides share device, threads and batch.

    ``allow_fallback``: nodes may run elsewhere than on the accelerator asked for.
    """

    sides: Mapping[str, Side]
    allow_fallback: bool = False

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
