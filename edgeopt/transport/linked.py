"""Files for an agent on this machine: linked into its folder, copied where there are no links."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from edgeopt.schema.errors import DeviceError


def link_files(folder: Path, files: Mapping[str, Path], *, check: bool = False) -> None:
    """Lay files (digest -> path) into a folder under their digests; read them first on ``check``.

    Raises DeviceError naming the file.
    """
    for digest, path in files.items():
        target = folder / digest
        if target.exists():
            continue
        try:
            if check:
                with path.open("rb") as stream:
                    if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                        raise DeviceError(f"{path.name} is corrupt", where=str(path))
            try:
                os.link(path, target)
            except OSError:
                shutil.copyfile(path, target)
        except OSError as error:
            raise DeviceError(
                f"cannot put {path.name} there: {error.strerror}", where=str(folder)
            ) from error
