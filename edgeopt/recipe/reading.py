"""YAML and keyword arguments to a Recipe. Paths in a recipe are relative to its own folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgeopt.recipe.nouns import Recipe
from edgeopt.recipe.stages import check_stages
from edgeopt.schema.errors import RecipeError
from edgeopt.yaml_lines import blame, read_yaml, unknown_key

INTERNAL = ("root", "path", "lines", "held", "functions")  # fields that no recipe writes


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file. Raises RecipeError naming file, line and nearest key."""
    plain, lines = read_yaml(path, RecipeError)
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
    place, known = str(path or "recipe"), lines or {} if path else {}
    for internal in INTERNAL:
        if internal in fields:
            raise unknown_key(internal, [], Recipe, place, known, RecipeError)
    extra = {
        "root": root or Path(), "path": path, "lines": dict(lines or {}), "held": dict(held or {}),
        "functions": dict(functions or {}),
    }  # fmt: skip
    try:
        recipe = Recipe.model_validate({**fields, **extra})
    except ValidationError as error:
        raise blame(error, Recipe, place, known, RecipeError) from None
    check_stages(recipe)
    return recipe
