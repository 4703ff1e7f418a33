"""Upkeep of a store: what lies in it, removing what nobody needs, finding what is broken."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from edgeopt.schema.base import Noun
from edgeopt.store.blobs import Blobs
from edgeopt.store.disk import free_bytes
from edgeopt.store.outcomes import CHECKPOINTS, Outcomes

CHECKPOINT_S = 7 * 24 * 3600.0  # what nobody went on from for so long is given up


class Entry(Noun):
    """One kept outcome; ``size_bytes`` counts its blobs, shared ones included."""

    key: str
    job: str
    digest: str
    seconds: float
    size_bytes: int
    used_at: float  # seconds since the epoch


class Listing(Noun):
    """What ``edgeopt cache ls`` prints."""

    root: str
    entries: tuple[Entry, ...]
    blobs: int
    size_bytes: int
    free_bytes: int


class Collected(Noun):
    """What ``edgeopt cache gc`` did."""

    outcomes: int
    blobs: int
    freed_bytes: int
    kept_bytes: int


class Verified(Noun):
    """What ``edgeopt cache verify`` found; what is named here was removed."""

    blobs: int
    outcomes: int
    corrupt: tuple[str, ...]  # digests of blobs
    broken: tuple[str, ...]  # keys of outcomes, unreadable or short of a blob

    @property
    def ok(self) -> bool:
        """Whether everything was sound."""
        return not self.corrupt and not self.broken


def listing(root: Path, blobs: Blobs, outcomes: Outcomes) -> Listing:
    """All sound records, last used first."""
    entries: list[Entry] = []
    for key in outcomes:
        if record := outcomes.read(key):
            outcome, named = record
            entries.append(
                Entry(
                    key=key,
                    job=outcome.job,
                    digest=outcome.digest,
                    seconds=outcome.seconds,
                    size_bytes=sum(map(blobs.size, named)),
                    used_at=outcomes.used_at(key),
                )
            )
    sizes = [blobs.size(digest) for digest in blobs]
    return Listing(
        root=str(root),
        entries=tuple(sorted(entries, key=lambda entry: entry.used_at, reverse=True)),
        blobs=len(sizes),
        size_bytes=sum(sizes),
        free_bytes=free_bytes(root),
    )


def collect(
    blobs: Blobs, outcomes: Outcomes, max_age_s: float | None, max_bytes: int | None
) -> Collected:
    """See ``Store.gc``. The caller holds the store exclusively."""
    oldest = -float("inf") if max_age_s is None else time.time() - max_age_s
    room = float("inf") if max_bytes is None else max_bytes
    needed: set[str] = set()
    taken = dropped = removed = freed = 0
    full = False
    for key in sorted(outcomes, key=outcomes.used_at, reverse=True):
        record = outcomes.read(key)
        named = set(record[1]) if record else set()
        more = sum(blobs.size(digest) for digest in named - needed)
        full = full or taken + more > room
        if record and outcomes.used_at(key) >= oldest and not full:
            needed |= named
            taken += more
        else:
            outcomes.drop(key)
            dropped += 1
    for digest in blobs:
        if digest not in needed:
            freed += blobs.size(digest)
            blobs.drop(digest)
            removed += 1
    freed += _drop_checkpoints(outcomes.root / CHECKPOINTS, max_age_s)
    return Collected(outcomes=dropped, blobs=removed, freed_bytes=freed, kept_bytes=taken)


def _drop_checkpoints(folder: Path, max_age_s: float | None) -> int:
    """Remove checkpoints of jobs that were not gone on with; the bytes that were freed."""
    oldest = time.time() - (CHECKPOINT_S if max_age_s is None else max_age_s)
    freed = 0
    for each in folder.iterdir() if folder.is_dir() else ():
        files = [path.stat() for path in each.rglob("*") if path.is_file()]
        if max((f.st_mtime for f in files), default=each.stat().st_mtime) < oldest:
            freed += sum(f.st_size for f in files)
            shutil.rmtree(each, ignore_errors=True)
    return freed


def verified(blobs: Blobs, outcomes: Outcomes) -> Verified:
    """See ``Store.verify``."""
    blobs.forget()
    digests = list(blobs)
    corrupt = tuple(digest for digest in digests if digest in blobs and not blobs.sound(digest))
    for digest in corrupt:
        blobs.drop(digest)
    keys = list(outcomes)
    broken: list[str] = []
    for key in keys:
        record = outcomes.read(key)
        if record is None or not all(digest in blobs for digest in record[1]):
            outcomes.drop(key)
            broken.append(key)
    return Verified(blobs=len(digests), outcomes=len(keys), corrupt=corrupt, broken=tuple(broken))
