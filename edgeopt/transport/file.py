"""Where the devices file lies: ``$EDGEOPT_DEVICES``, or ``devices.yaml`` in the user's folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from edgeopt.schema.errors import UsageError

VARIABLE = "EDGEOPT_DEVICES"
Stamp = tuple[Path, int, int]


def devices_file() -> Path:
    """Where the devices file lies, or would."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    return platformdirs.user_config_path("edgeopt") / "devices.yaml"


def stamp() -> Stamp | None:
    """What changes with the file: its place, time and size; None where there is none."""
    path = devices_file()
    try:
        told = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(error.strerror or str(error), where=str(path)) from None
    return path, told.st_mtime_ns, told.st_size
