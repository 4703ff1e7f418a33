"""Jobs and Outcomes: the only things that cross a process, a wire or time."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from edgeopt.schema.base import Noun, digest_of

Kind = Literal["open", "data", "pass", "check", "analysis", "score", "race"]
Status = Literal["ok", "failed", "crashed", "timeout", "memory", "skipped", "cancelled"]
NODE_BY_NODE = "node-by-node"  # a check that asks what a file's integers stand for


class Limits(Noun):
    """Bounds on one job: wall seconds and resident bytes; None is unbounded."""

    time_s: float | None = None
    memory_bytes: int | None = None


class Job(Noun):
    """One unit of work, planned by id, keyed by content.

    ``inputs`` (role -> job id) enter the key by the digests they produce, so an input that
    comes out the same stops a rerun. ``needs`` (job ids) must have ended ``ok`` and enter no
    key. ``key`` holds all else the result depends on: versions, seed, digests of user code.
    ``where`` holds what the worker must know and the key must not: folders, for one.
    """

    id: str
    kind: Kind
    name: str
    worker: str = "core"  # which warm worker runs it; "bench" jobs run beside an agent
    params: dict[str, Any] = {}
    inputs: dict[str, str] = {}
    needs: tuple[str, ...] = ()
    key: dict[str, Any] = {}
    where: dict[str, Any] = {}
    cache: bool = True
    limits: Limits = Limits()

    def cache_key(self, digests: dict[str, str]) -> str:
        """SHA-256 of kind, name, params, key parts and the digests by role."""
        return digest_of(
            {
                "kind": self.kind,
                "name": self.name,
                "params": self.params,
                "key": self.key,
                "inputs": digests,
            }
        )


class Outcome(Noun):
    """What became of a Job. Only ``ok`` outcomes are ever kept.

    ``digest`` names what the job made (an artifact, tensors, outputs, or the value itself);
    ``value`` is its JSON result.
    """

    job: str
    status: Status
    key: str = ""
    digest: str = ""
    value: dict[str, Any] = {}
    error: dict[str, str] | None = None
    seconds: float = 0.0
    cached: bool = False

    @property
    def ok(self) -> bool:
        return self.status == "ok"


class Request(Noun):
    """What a worker is sent: a Job, the outcomes of its inputs by role, the store's folder."""

    job: Job
    inputs: dict[str, Outcome]
    store: str
    workdir: str
    key: str = ""


class ArrayRef(Noun):
    """An array in the store: a ``.npy`` blob with its dtype and whole shape."""

    blob: str
    dtype: str
    shape: tuple[int, ...]


class Arrays(Noun):
    """Arrays of one split, first axis the sample: the value of a ``data`` outcome.

    ``labels``, by the name of their array, stand apart and have digests of their own, so that a
    changed label reruns no score. ``hashes`` is a ``.npy`` blob of (n,) uint64: the first eight
    bytes of each raw sample's SHA-256, big-endian. ``axes`` says of an input on which axis the
    model takes samples, where that is not the first: None for a constant, whose array is what
    every batch is fed. ``outputs`` says the same of the model's outputs.
    """

    split: str
    n: int
    arrays: dict[str, ArrayRef]
    labels: dict[str, ArrayRef] = {}
    hashes: str = ""
    slices: dict[str, ArrayRef] = {}  # metadata columns, (n,) each
    axes: dict[str, int | None] = {}
    outputs: dict[str, int] = {}

    @field_validator("labels", mode="before")
    @classmethod
    def _kept_before(cls, labels: Any) -> Any:
        """Outcomes that were kept when there was one array or none: tensors, which have none."""
        return {} if labels is None else labels

    @property
    def digest(self) -> str:
        """Digest of the arrays and how they are fed, labels left out."""
        blobs: dict[str, Any] = {name: ref.blob for name, ref in self.arrays.items()}
        fed = {"axes": self.axes, "outputs": self.outputs}
        return digest_of({"blobs": blobs, **fed} if any(fed.values()) else blobs)
