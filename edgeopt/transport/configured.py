"""The devices file: what a user says of each board, by kind and name::

ssh:
  jetson: {host: jetson.local, user: nvidia}
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edgeopt.schema.errors import UsageError, did_you_mean
from edgeopt.transport.file import VARIABLE, Stamp, devices_file, stamp
from edgeopt.transport.kinds import device_kind, device_kinds
from edgeopt.yaml_lines import blame, read_yaml

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # as in a target
TIMES = {"s": 1.0, "min": 60.0, "h": 3600.0}
SIZES = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
S = TypeVar("S", bound=BaseModel)


def configured() -> Mapping[str, Mapping[str, BaseModel]]:
    """Settings by kind and name; nothing where there is no file.

    Raises UsageError naming file, line and nearest key, also for a named file that is missing.
    """
    found = stamp()
    if found is None and os.environ.get(VARIABLE):
        raise UsageError("no such devices file", where=str(devices_file()), hint=f"see {VARIABLE}")
    return _read(found) if found else {}


def settings_of(name: str, model: type[S], default: S | None = None) -> S:
    """The settings of ``KIND:NAME``. Raises UsageError where the devices file has none."""
    kind, _, own = name.partition(":")
    known = configured().get(kind, {})
    settings = known.get(own, default)
    if settings is None:
        where = devices_file()
        raise UsageError(
            f"no device '{name}' is configured" if own else f"'{kind}' needs a name: {kind}:NAME",
            where=str(where),
            hint=did_you_mean(own, known)
            or f"add it there, e.g.  {kind}: {{{own or 'NAME'}: {{...}}}}; see docs/devices.md",
        )
    if not isinstance(settings, model):
        raise UsageError(f"'{name}' has the settings of another kind", where=str(devices_file()))
    return settings


def quantity(text: str, units: Mapping[str, float]) -> float:
    """Seconds (``TIMES``) of ``90 s``, bytes (``SIZES``) of ``500 MB``. Raises ValueError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)", text.strip())
    if not match or match[2] not in units:
        raise ValueError(f"cannot read '{text}'; units: {', '.join(units)}")
    return float(match[1]) * units[match[2]]


@cache
def _read(file_stamp: Stamp) -> dict[str, dict[str, BaseModel]]:
    path = file_stamp[0]
    plain, lines = read_yaml(path)
    kinds = [k for k in device_kinds() if getattr(device_kind(k), "Settings", None)]
    devices: dict[str, dict[str, BaseModel]] = {}
    for kind, entries in _mapping(plain, path, "", lines).items():
        at = f"{path}:{lines[kind]}"
        if kind not in kinds:
            raise UsageError(f"unknown kind '{kind}'", where=at, hint=did_you_mean(kind, kinds))
        model: type[BaseModel] = device_kind(kind).Settings  # type: ignore[attr-defined]
        for name, fields in _mapping(entries, path, kind, lines).items():
            place = f"{kind}.{name}"
            if not NAME.fullmatch(name):
                raise UsageError(
                    f"'{name}' is not a valid name for a device",
                    where=f"{path}:{lines[place]}",
                    hint="letters, digits, '_', '.' and '-', at most 64",
                )
            try:
                given = model.model_validate(_mapping(fields, path, place, lines))
            except ValidationError as error:
                raise blame(error, model, str(path), lines, below=place) from None
            devices.setdefault(kind, {})[name] = given
    return devices


def _mapping(value: Any, path: Path, place: str, lines: Mapping[str, int]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        where = f"{path}:{lines[place]}" if place else str(path)
        raise UsageError(f"'{place or 'the file'}' is a mapping, not {value!r}", where=where)
    return value
