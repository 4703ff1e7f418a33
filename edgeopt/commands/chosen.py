"""The chosen files of a result that was written nowhere: laid out of the store."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgeopt.schema.artifact import Artifact
from edgeopt.store import Store

_FOLDERS: dict[str, tempfile.TemporaryDirectory[str]] = {}  # by digest; they go with the process


def laid_out(root: Path, artifact: Artifact) -> Path:
    """An artifact's one file, or the folder of several, as long as this process lives.

    ``root`` is the store's folder. Raises StoreError where the store has lost it meanwhile.
    """
    if artifact.digest not in _FOLDERS:
        made = tempfile.TemporaryDirectory(prefix="edgeopt-best-")
        with Store(root) as store:
            store.checkout(artifact, Path(made.name), writable=True)
        _FOLDERS[artifact.digest] = made
    return artifact.whole(Path(_FOLDERS[artifact.digest].name))
