"""Blobs: immutable files named by the SHA-256 of their bytes, under ``blobs/ab/abcd...``."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from edgeopt.schema.errors import StoreError
from edgeopt.store.disk import fresh_file, install, writing

DIGEST = re.compile(r"[0-9a-f]{64}")
BLOBS = "blobs"


class Blobs:
    """The blob folder of one store; ``rough`` is a folder on the same disk for new files."""

    def __init__(self, root: Path, rough: Path) -> None:
        self.root = root
        self.folder = root / BLOBS
        self.rough = rough
        self._verified: dict[str, tuple[int, int, int]] = {}
        with writing(root):
            self.folder.mkdir(exist_ok=True)

    def place(self, digest: str) -> Path:
        """Where a blob of that digest lies or would lie. Raises StoreError for no digest."""
        if not DIGEST.fullmatch(digest):
            raise StoreError(f"{digest!r} is not a SHA-256 digest", where=str(self.root))
        return self.folder / digest[:2] / digest

    def put(self, write: Callable[[BinaryIO], Any]) -> str:
        """Store what ``write`` writes to the file it is given; returns the digest.

        Raises StoreError when it cannot be written; nothing half-written stays behind.
        """
        with writing(self.root), fresh_file(self.rough) as file:
            sink = _Sink(file)
            write(sink)  # type: ignore[arg-type]
            digest = sink.hash.hexdigest()
            if not self.sound(digest):
                install(file, self.place(digest))
                self._remember(digest)
        return digest

    def path(self, digest: str) -> Path:
        """The blob's file, its content verified once a process and state of the file.

        Raises StoreError if it is missing, or corrupt: then it is removed as well, so that
        whatever made it is run again.
        """
        place = self.place(digest)
        if self.sound(digest):
            return place
        state = "corrupt and was removed" if place.exists() else "missing"
        self.drop(digest)
        raise StoreError(
            f"blob {digest} is {state}",
            where=str(self.root),
            hint="run again; it will be recomputed",
        )

    def sound(self, digest: str) -> bool:
        """Whether the blob is there with the content its name says."""
        place = self.place(digest)
        try:
            state = _state(place)
            if self._verified.get(digest) == state:
                return True
            with open(place, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    return False
        except FileNotFoundError:
            return False
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(
                f"cannot read blob {digest}: {reason}", where=str(self.root)
            ) from error
        self._verified[digest] = state
        return True

    def drop(self, digest: str) -> None:
        """Remove a blob, if it is there."""
        self._verified.pop(digest, None)
        with writing(self.root), contextlib.suppress(FileNotFoundError):
            self.place(digest).unlink()

    def forget(self) -> None:
        """Verify every blob anew when it is next asked for."""
        self._verified.clear()

    def __iter__(self) -> Iterator[str]:
        """Digests of all blobs, sorted."""
        for file in sorted(self.folder.glob("??/*")):
            if DIGEST.fullmatch(file.name):
                yield file.name

    def __contains__(self, digest: str) -> bool:
        return self.place(digest).exists()

    def size(self, digest: str) -> int:
        """Bytes of a blob; 0 where it is missing."""
        try:
            return self.place(digest).stat().st_size
        except FileNotFoundError:
            return 0

    def _remember(self, digest: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._verified[digest] = _state(self.place(digest))


class _Sink:
    """Passes bytes on to a file and hashes them."""

    def __init__(self, file: BinaryIO) -> None:
        self.hash = hashlib.sha256()
        self._file = file

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return self._file.write(data)


def _state(place: Path) -> tuple[int, int, int]:
    found = place.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
