"""Declarations: what a runtime or a format says of itself, in a JSON file beside its code.

Those of edgeopt lie in its own folders; another distribution brings one by an entry point,
``NAME = PACKAGE``, whose package holds the file and the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from edgeopt.schema import plugged
from edgeopt.schema.base import Noun
from edgeopt.schema.errors import UsageError, did_you_mean

HOME = Path(__file__).resolve().parents[1]  # edgeopt's own folder: no layer is imported for data
D = TypeVar("D", bound=Noun)


class Package(NamedTuple):
    """A package that an entry point names: how it is imported, its folder, and what brings it."""

    name: str
    folder: Path
    distribution: str


def packages(group: str) -> dict[str, Package]:
    """The packages that the entry points of a group name, by the points' names.

    Nothing of them is imported but the packages around them. Raises UsageError for a point that
    names no package, and for a name that stands twice.
    """
    return {
        name: Package(
            point.value, _folder(point.value, plugged.place(point)), plugged.brought_by(point)
        )
        for name, point in plugged.points(group).items()
    }


def with_own(what: str, own: Mapping[str, Path], added: Mapping[str, Path]) -> dict[str, Path]:
    """Edgeopt's own declarations and those plugged in. Raises UsageError for a name of both."""
    for name, file in added.items():
        if name in own:
            raise UsageError(f"{file}: there is already a {what} '{name}'")
    return {**own, **added}


def read(kind: type[D], files: Mapping[str, Path]) -> dict[str, D]:
    """Name -> what its file declares. Raises UsageError that names file and key."""
    return {name: _declared(kind, file) for name, file in files.items()}


def keys(kind: type[Noun], *, required: bool) -> list[str]:
    """The keys that a file must have, or those that it may leave out."""
    return [name for name, field in kind.model_fields.items() if field.is_required() == required]


def _folder(package: str, where: str) -> Path:
    try:
        spec = find_spec(package)
    except (ImportError, ValueError) as error:
        raise UsageError(f"'{package}', which {where} names, is not found: {error}") from error
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise UsageError(f"'{package}', which {where} names, is not a package with a declaration")
    return Path(next(iter(folders)))


def _declared(kind: type[D], file: Path) -> D:
    try:
        return kind.model_validate_json(file.read_bytes(), strict=True)
    except OSError as error:
        raise UsageError(f"no declaration {file}: {error.strerror or error}") from None
    except ValidationError as error:
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
            raise UsageError(f"the declaration {file} is wrong: unknown key '{place}'",
                             hint=did_you_mean(place, kind.model_fields)) from None  # fmt: skip
        message = first["msg"].removeprefix("Value error, ")
        what = f"'{place}': {message}" if place else message
        raise UsageError(f"the declaration {file} is wrong: {what}") from None
