"""Files to a board, once per digest: whole or not at all, and from where they were cut off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import Field

from edgeopt.schema.errors import DeviceError
from edgeopt.transport.channel import Channel, Reply
from edgeopt.transport.kinds import Note

CHUNK = 1 << 22
LONG_BYTES = 32_000_000
TRIES = 2  # of an upload whose digest comes out wrong


class HaveReply(Reply):
    """Bytes of each blob that are there already."""

    offsets: dict[str, int]


class AppendReply(Reply):
    """Where an upload stands."""

    at: int = Field(ge=0)
    whole: bool


def upload(supervisor: Channel, files: Mapping[str, Path], note: Note) -> None:
    """Send files (digest -> path) to a supervisor; ``note`` is told where that takes a while.

    Raises DeviceError, UnreachableError.
    """
    sizes = {digest: path.stat().st_size for digest, path in files.items()}
    have, _ = supervisor.ask("have", HaveReply, blobs=sizes)
    if set(have.offsets) != set(sizes):
        raise DeviceError("the board named files that it was not asked for", where=supervisor.name)
    left = sum(sizes[digest] - have.offsets[digest] for digest in sizes)
    if left > LONG_BYTES:
        note(f"{supervisor.name}: sending {left / 1e6:,.0f} MB")
    for digest, path in files.items():
        offset = have.offsets[digest]
        if not 0 <= offset <= sizes[digest]:
            raise DeviceError(f"the board has {offset} bytes of {path.name}", where=supervisor.name)
        if offset < sizes[digest] or not sizes[digest]:
            _send(supervisor, digest, path, sizes[digest], offset)


def _send(supervisor: Channel, digest: str, path: Path, size: int, offset: int) -> None:
    for _ in range(TRIES):
        if _sent(supervisor, digest, path, size, offset):
            return
        offset = 0
    raise DeviceError(
        f"{path.name} arrived corrupted, {TRIES} times",
        where=supervisor.name,
        hint="check the connection, and the disk and memory of the board",
    )


def _sent(supervisor: Channel, digest: str, path: Path, size: int, offset: int) -> bool:
    """Whether all arrived and the digest is right there."""
    with path.open("rb") as file:
        file.seek(offset)
        while True:
            data = np.frombuffer(file.read(CHUNK), np.uint8)
            answer, _ = supervisor.ask(
                "append", AppendReply, arrays={"data": data}, blob=digest, offset=offset, size=size
            )
            if answer.whole:
                return True
            if answer.at != offset + len(data) or not len(data):
                return False
            offset = answer.at
