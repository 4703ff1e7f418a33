"""Writing a module that was changed: its parent's code, the edits, the weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeopt.formats.torch import edits, weights
from edgeopt.formats.torch.format import CODE, MODEL, WEIGHTS
from edgeopt.schema.errors import PassError


def write(parent: Path, module: Any, records: Sequence[edits.Record], out: Path) -> Path:
    """An artifact's folder of a changed module; ``out``, which a pass can return.

    ``parent`` is the folder of the artifact that the module was loaded from, ``records`` what
    was done to it since, empty where only weights have changed. Raises PassError for a parent
    without a factory.
    """
    check_factory(parent)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(parent / MODEL, out / MODEL)
    shutil.copytree(parent / CODE, out / CODE, dirs_exist_ok=True)
    known = [*edits.read(parent), *records]
    if known:
        (out / edits.EDITS).write_text(json.dumps(known, sort_keys=True) + "\n")
    weights.write_state(module, out / WEIGHTS)
    return out


def check_factory(parent: Path) -> None:
    """Raise PassError for an artifact that has no factory: it could not be built again."""
    if "factory" not in json.loads((parent / MODEL).read_text()):
        raise PassError(
            "an exported program has no factory to rebuild it with changes",
            where=MODEL,
            hint="Give the model as a factory with weights: "
            "model: {factory: 'net.py:make', weights: net.safetensors}.",
        )
