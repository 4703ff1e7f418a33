"""Who works on a job: one process at a time for each key, so that no two build the same thing.

A claim is a locked file ``claims/KEY`` (flock(2)): the kernel gives it up when its holder dies,
however it dies. The file goes with the claim; one that a killed holder left claims nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from edgeopt.schema.errors import StoreError
from edgeopt.store.blobs import DIGEST
from edgeopt.store.disk import writing

CLAIMS = "claims"
HOLDER_BYTES = 32  # of a file: the id of the process


class Claim:
    """A key that this process works on, until ``release`` or its end."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path, self._handle = path, handle

    def release(self) -> None:
        """Let another process work on it. Idempotent."""
        if self._handle < 0:
            return
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._handle)
        self._handle = -1


def claim(root: Path, key: str) -> Claim | None:
    """The claim of a key; None while anybody else has it. Waits for nobody. Raises StoreError."""
    path = _place(root, key)
    with writing(root):
        path.parent.mkdir(exist_ok=True)
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_file(path, handle):
                    os.truncate(handle, 0)
                    os.write(handle, str(os.getpid()).encode())
                    return Claim(path, handle)
            except BlockingIOError:
                os.close(handle)
                return None
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)  # its holder removed it between the two calls: again


def holder(root: Path, key: str) -> str:
    """The id of the process that has a claim; nothing where nobody tells."""
    with contextlib.suppress(OSError), _place(root, key).open("rb") as file:
        told = file.read(HOLDER_BYTES).decode(errors="replace")
        return told if told.isdigit() else ""
    return ""


def drop_claims(root: Path) -> None:
    """Remove what killed holders left. The caller holds the store exclusively."""
    for path in (root / CLAIMS).iterdir() if (root / CLAIMS).is_dir() else ():
        with contextlib.suppress(OSError):
            path.unlink()


def _place(root: Path, key: str) -> Path:
    if not DIGEST.fullmatch(key):
        raise StoreError(f"{key!r} is not a cache key", where=str(root))
    return root / CLAIMS / key


def _is_file(path: Path, handle: int) -> bool:
    """Whether the file is still the one that its name leads to."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat(follow_symlinks=False))
    return False
