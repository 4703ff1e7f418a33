"""Outcome records: ``outcomes/ab/KEY.json``, each sealed by a digest and naming its blobs."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgeopt.schema.base import canonical, digest_of
from edgeopt.schema.errors import StoreError
from edgeopt.schema.job import Outcome
from edgeopt.store.blobs import DIGEST, Blobs
from edgeopt.store.disk import fresh_file, install, writing

OUTCOMES = "outcomes"
CHECKPOINTS = "checkpoints"


class Outcomes:
    """The outcome folder of one store."""

    def __init__(self, root: Path, blobs: Blobs) -> None:
        self.root = root
        self.folder = root / OUTCOMES
        self._blobs = blobs
        with writing(root):
            self.folder.mkdir(exist_ok=True)

    def place(self, key: str) -> Path:
        """Where the record of a key lies or would lie. Raises StoreError for no key."""
        if not DIGEST.fullmatch(key):
            raise StoreError(f"{key!r} is not a cache key", where=str(self.root))
        return self.folder / key[:2] / f"{key}.json"

    def checkpoints(self, key: str) -> Path:
        """Where the job of a key keeps its checkpoints. Raises StoreError for no key."""
        return self.root / CHECKPOINTS / self.place(key).stem

    def keep(self, outcome: Outcome) -> None:
        """Write the record, replacing one of the same key. Raises StoreError unless ``ok``."""
        if not outcome.ok:
            raise StoreError(
                f"an outcome that is '{outcome.status}' is never kept", where=outcome.job
            )
        body = {
            "outcome": outcome.model_copy(update={"cached": False}).to_json(),
            "blobs": sorted(d for d in _digests(outcome.to_json()) if d in self._blobs),
        }
        with writing(self.root), fresh_file(self._blobs.rough) as file:
            file.write(canonical({**body, "seal": digest_of(body)}))
            install(file, self.place(outcome.key))

    def get(self, key: str) -> Outcome | None:
        """The outcome of a key, or None. A record that is corrupt, or that names a blob that
        is missing or corrupt, is removed. A hit counts as a use."""
        if not self.place(key).exists():
            return None
        record = self.read(key)
        if record and all(self._blobs.sound(digest) for digest in record[1]):
            with contextlib.suppress(OSError):
                os.utime(self.place(key))
            return record[0]
        self.drop(key)
        return None

    def read(self, key: str) -> tuple[Outcome, tuple[str, ...]] | None:
        """Outcome and blobs of a record as they stand there; None if there is no sound one."""
        try:
            body = json.loads(self.place(key).read_bytes())
            seal = body.pop("seal")
            outcome = Outcome.model_validate(body["outcome"])
            if seal != digest_of(body) or outcome.key != key:
                return None
            return outcome, tuple(body["blobs"])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read outcome {key}: {error}", where=str(self.root)) from error
        except (ValueError, AttributeError, KeyError, TypeError, ValidationError, RecursionError):
            return None

    def drop(self, key: str) -> None:
        """Remove a record, if it is there."""
        with writing(self.root), contextlib.suppress(FileNotFoundError):
            self.place(key).unlink()

    def used_at(self, key: str) -> float:
        """When the record was last used, in seconds since the epoch; 0 where it is missing."""
        try:
            return self.place(key).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def __iter__(self) -> Iterator[str]:
        """Keys of all records, sound or not, sorted."""
        for file in sorted(self.folder.glob("??/*.json")):
            if DIGEST.fullmatch(file.stem):
                yield file.stem


def _digests(value: Any) -> set[str]:
    """Every string in a JSON value that has the form of a digest."""
    if isinstance(value, str):
        return {value} if DIGEST.fullmatch(value) else set()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {digest for part in parts for digest in _digests(part)}
