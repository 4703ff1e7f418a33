"""Durable writes: a file is whole and on disk under its name, or it is not there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgeopt.schema.errors import StoreError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
MAKE_ROOM = "free some space, run 'edgeopt cache gc', or point EDGEOPT_STORE to another disk"


@contextlib.contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turn an OSError met while writing below ``root`` into a StoreError that names it."""
    try:
        yield
    except OSError as error:
        raise _store_error(root, error) from error


@contextlib.contextmanager
def fresh_file(folder: Path) -> Iterator[BinaryIO]:
    """A new file in ``folder`` that is gone afterwards unless ``install`` moved it away."""
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        try:
            yield file  # type: ignore[misc] # a wrapper with all methods of a BinaryIO
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file.name)


def install(file: BinaryIO, target: Path) -> None:
    """Give the open, written ``file`` its final name: read-only, atomic and durable.

    A file that already bears the name is replaced. Raises OSError.
    """
    file.flush()
    os.fchmod(file.fileno(), 0o444)
    os.fsync(file.fileno())
    target.parent.mkdir(exist_ok=True)
    os.replace(file.name, target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write to the file system of ``folder``."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def no_room(root: Path, raised: BaseException | None) -> StoreError | None:
    """A StoreError if the disk was full when foreign code raised this, else None.

    Libraries with a core in another language say it in words, without an OSError.
    """
    while raised is not None:
        full = isinstance(raised, OSError) and raised.errno in FULL
        if full or os.strerror(errno.ENOSPC) in str(raised):
            return _store_error(root, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        raised = raised.__cause__ or raised.__context__
    return None


def _store_error(root: Path, error: OSError) -> StoreError:
    reason = error.strerror or str(error)
    if error.errno in FULL:
        free = free_bytes(root)
        return StoreError(
            f"no room left to write: {reason}, {free:,} bytes free", where=str(root), hint=MAKE_ROOM
        )
    named = f" {error.filename}" if error.filename else ""
    return StoreError(
        f"cannot write{named}: {reason}",
        where=str(root),
        hint="point EDGEOPT_STORE to a folder that you may write to",
    )
