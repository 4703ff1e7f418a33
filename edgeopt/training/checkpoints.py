"""Checkpoints: one file, replaced whole; what it was made with must be what goes on from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from edgeopt.schema.errors import PassError

FILE = "checkpoint.pt"


def write(folder: Path, state: dict[str, Any]) -> None:
    """Replace the folder's checkpoint by ``state``: tensors and plain values, durable."""
    rough = folder / f"{FILE}.{os.getpid()}.part"
    try:
        with rough.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(rough, folder / FILE)
    finally:
        rough.unlink(missing_ok=True)


def read(folder: Path | None, mark: str) -> dict[str, Any] | None:
    """The folder's checkpoint, or None where it has none of ``mark``.

    No pickled code is run. Raises PassError for a file that is no checkpoint.
    """
    if folder is None:
        return None
    for stale in folder.glob(f"{FILE}.*.part"):
        stale.unlink(missing_ok=True)
    if not (folder / FILE).is_file():
        return None
    try:
        state = torch.load(folder / FILE, map_location="cpu", weights_only=True)
        return dict(state) if state["mark"] == mark else None
    except Exception as error:
        raise PassError(
            f"no checkpoint: {error}", where=str(folder / FILE), hint="Remove it to start again."
        ) from error


def saved_step(folder: Path | None) -> int | None:
    """The step of the folder's checkpoint, for messages; None where there is none."""
    if folder is None or not (folder / FILE).is_file():
        return None
    return int(torch.load(folder / FILE, map_location="cpu", weights_only=True)["step"])
