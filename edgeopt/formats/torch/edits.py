"""Records of surgery in an artifact, ``edits.json``, and their replay.

What replays them is ``agent/edits.py``: the agent's torch session, on whatever device, needs
it too and has nothing else of edgeopt. A new kind of edit is a function there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeopt.agent import edits
from edgeopt.agent.errors import AgentError
from edgeopt.schema.errors import ModelError

EDITS = "edits.json"
Record = dict[str, Any]


def read(folder: Path) -> list[Record]:
    """The records of an artifact's folder, none where it has no such file. Raises ModelError."""
    path = folder / EDITS
    if not path.exists():
        return []
    try:
        said = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"not a list of edits: {error}", where=str(path)) from error
    if not isinstance(said, list):
        raise ModelError("not a list of edits", where=str(path))
    return said


def replay(module: Any, records: Sequence[Record], where: str = EDITS) -> None:
    """Do the edits to a module, in place. Raises ModelError that names the record."""
    try:
        edits.replay(module, records, where)
    except AgentError as error:
        raise ModelError(error.what, where=error.where, hint=error.hint) from error
