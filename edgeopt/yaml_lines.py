"""Files that users write: YAML 1.2, with errors that name file, line and nearest key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from edgeopt.schema.errors import UsageError, did_you_mean
from edgeopt.yaml_values import FaultError, values_and_lines

LARGEST_BYTES = 1 << 18  # of a file
FORMS = {
    "string_type": "text", "int_type": "an integer", "bool_type": "true or false",
    "float_type": "a number", "list_type": "a list", "tuple_type": "a list",
    "model_type": "a map", "dict_type": "a map", "mapping_type": "a map",
}  # fmt: skip
WANTS_A_MAP = ("model_type", "dict_type", "mapping_type")
Lines = Mapping[str, int]  # "a.b.0" -> the line of that key or item, from 1


def read_yaml(path: Path, kind: type[UsageError] = UsageError) -> tuple[Any, dict[str, int]]:
    """Plain values and the line of each place. Raises an error of ``kind`` with file and line."""
    try:
        with path.open("rb") as file:
            read = file.read(LARGEST_BYTES + 1)
        text = read.decode("utf-8-sig")
    except OSError as error:
        raise kind(error.strerror or str(error), where=str(path)) from None
    except UnicodeDecodeError:
        raise kind("not a text file in UTF-8", where=str(path)) from None
    if len(read) > LARGEST_BYTES:
        raise kind(f"a file of more than {LARGEST_BYTES:,} bytes", where=str(path))
    try:
        return values_and_lines(text)
    except FaultError as fault:
        where = f"{path}:{fault.line}" if fault.line else str(path)
        raise kind(fault.what, where=where) from None


def blame(
    error: ValidationError,
    root: type[BaseModel],
    place: str,
    lines: Lines,
    kind: type[UsageError] = UsageError,
    *,
    below: str = "",
) -> UsageError:
    """The first problem of a model's validation, at its line, misspelt keys before all else.

    ``place`` is the file, or a word; ``below`` is where the model stands in it.
    """
    problems = [each for each in error.errors() if not _is_of_another_form(each)]
    first = min(problems or error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    loc = [str(part) for part in first["loc"]]
    model, models = root, {root.__name__: root}
    for part in loc[:-1]:
        field = model.model_fields.get(part)
        models = models if field is None else dict(_models_in(field.annotation)) or models
        model = models.get(part) or (model if field is None else next(iter(models.values())))
    known = _keys(first)
    if first["type"] == "extra_forbidden":
        return unknown_key(loc[-1], known[:-1], model, place, lines, kind, below=below)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        message = "is missing"
    elif first["type"] in FORMS:
        forms = [FORMS.get(each["type"]) for each in error.errors() if _keys(each) == known]
        message = f"must be {' or '.join(dict.fromkeys(filter(None, forms)))}"
    what = f"'{'.'.join(known)}': {message}" if known else message
    return kind(what, where=_where([*filter(None, [below]), *known], place, lines))


def unknown_key(
    key: str,
    above: list[str],
    model: type[BaseModel],
    place: str,
    lines: Lines,
    kind: type[UsageError] = UsageError,
    *,
    below: str = "",
) -> UsageError:
    """The error for a key that a model does not have."""
    what = f"unknown key '{key}'" + (f" in '{'.'.join(above)}'" if above else "")
    where = _where([*filter(None, [below]), *above, key], place, lines)
    return kind(what, where=where, hint=did_you_mean(key, known_keys(model)))


def known_keys(model: type[BaseModel]) -> list[str]:
    """The keys that a user may write."""
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _keys(problem: Any) -> list[str]:
    """Where a problem lies, in keys that a user writes: without the forms that were tried."""
    parts = (str(part) for part in problem["loc"])
    return [
        part for part in parts
        if not part[:1].isupper() and "[" not in part and part not in ("str", "int")
    ]  # fmt: skip


def _is_of_another_form(problem: Any) -> bool:
    """Whether a value of several forms was held against one that it has not: a map against text, or
    the other way round."""
    written = isinstance(problem["input"], Mapping)
    return written if problem["type"] == "string_type" else problem["type"] in WANTS_A_MAP


def _models_in(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """The models that a field may hold, by name, however deep they stand in its type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation.__name__, annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)


def _where(loc: list[str], place: str, lines: Lines) -> str:
    key = ".".join(loc)
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return f"{place}:{lines[key]}" if key else place
