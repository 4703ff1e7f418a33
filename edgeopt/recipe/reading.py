"""YAML and keyword arguments to a Recipe, with errors that name file, line and nearest key.

YAML 1.2 by ruamel.yaml. Paths in a recipe are relative to the recipe's own folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from edgeopt.recipe.nouns import Recipe, known_keys
from edgeopt.schema.errors import EdgeoptError, RecipeError, did_you_mean

INTERNAL = ("root", "path", "lines", "held", "functions")  # fields that no recipe writes


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file. Raises RecipeError naming file, line and nearest key."""
    plain, lines = _read_yaml(path)
    if not isinstance(plain, dict):
        raise RecipeError("a recipe is a mapping with the key 'model'", where=str(path))
    return make_recipe(plain, root=path.parent, path=path, lines=lines)


def make_recipe(
    fields: Mapping[str, Any],
    *,
    root: Path | None = None,
    path: Path | None = None,
    lines: Mapping[str, int] | None = None,
    held: Mapping[str, Any] | None = None,
    functions: Mapping[str, Any] | None = None,
) -> Recipe:
    """A Recipe from plain fields. Raises RecipeError with line and nearest key.

    ``held`` are arrays that lie in the store already: ``SPLIT.ARRAY`` -> ref; ``functions``
    are metrics by name that live in this process.
    """
    for internal in INTERNAL:
        if internal in fields:
            _unknown(internal, (), Recipe, path, lines or {})
    extra = {
        "root": root or Path(), "path": path, "lines": dict(lines or {}), "held": dict(held or {}),
        "functions": dict(functions or {}),
    }  # fmt: skip
    try:
        return Recipe.model_validate({**fields, **extra})
    except ValidationError as error:
        raise _blame(error, path, lines or {}) from None


def _read_yaml(path: Path) -> tuple[Any, dict[str, int]]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(error.strerror or str(error), where=str(path)) from None
    except UnicodeDecodeError:
        raise RecipeError("not a text file in UTF-8", where=str(path)) from None
    try:
        loaded = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = str(error.problem or error).splitlines()[0]
        raise RecipeError(problem, where=where) from None
    except YAMLError as error:
        raise RecipeError(str(error).splitlines()[0], where=str(path)) from None
    lines: dict[str, int] = {}
    return _plain(loaded, "", lines, path), lines


def _plain(node: Any, place: str, lines: dict[str, int], path: Path) -> Any:
    marks = getattr(node, "lc", None)  # ruamel's line and column of each key or item
    if isinstance(node, dict) and marks is not None:
        out = {}
        for key, value in node.items():
            at = f"{place}.{key}" if place else str(key)
            lines[at] = marks.key(key)[0] + 1
            if not isinstance(key, str):
                raise RecipeError(f"keys are words, not {key!r}", where=f"{path}:{lines[at]}")
            out[key] = _plain(value, at, lines, path)
        return out
    if isinstance(node, list) and marks is not None:
        for index in range(len(node)):
            lines[f"{place}.{index}"] = marks.item(index)[0] + 1
        return [_plain(item, f"{place}.{i}", lines, path) for i, item in enumerate(node)]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    raise RecipeError(
        f"cannot use a {type(node).__name__} here", where=f"{path}:{lines.get(place, 1)}"
    )


def _blame(error: ValidationError, path: Path | None, lines: Mapping[str, int]) -> EdgeoptError:
    first = error.errors()[0]
    loc = [str(part) for part in first["loc"]]
    model: Any = Recipe
    for part in loc[:-1]:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        model = _model_in(inner) or model
    if first["type"] == "extra_forbidden":
        return _unknown_error(loc[-1], tuple(loc[:-1]), model, path, lines)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        message = "is missing"
    known = [part for part in loc if not part[:1].isupper() and "[" not in part]
    what = f"'{'.'.join(known)}': {message}" if known else message
    return RecipeError(what, where=_where(known, path, lines))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    options = [annotation, *getattr(annotation, "__args__", ())]
    models = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
    return models[0] if models else None


def _unknown(
    key: str, place: tuple[str, ...], model: Any, path: Path | None, lines: Mapping[str, int]
) -> None:
    raise _unknown_error(key, place, model, path, lines)


def _unknown_error(
    key: str, place: tuple[str, ...], model: Any, path: Path | None, lines: Mapping[str, int]
) -> RecipeError:
    what = f"unknown key '{key}'" + (f" in '{'.'.join(place)}'" if place else "")
    return RecipeError(
        what, where=_where([*place, key], path, lines), hint=did_you_mean(key, known_keys(model))
    )


def _where(loc: list[str], path: Path | None, lines: Mapping[str, int]) -> str:
    if path is None:
        return "recipe"
    place = ".".join(loc)
    while place and place not in lines:
        place = place.rpartition(".")[0]
    return f"{path}:{lines[place]}" if place else str(path)
