"""The recipe that a call asks for, whatever it was given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.recipe.bare import bare_fields, data_fields
from edgeopt.recipe.nouns import Recipe
from edgeopt.recipe.reading import load_recipe, make_recipe
from edgeopt.schema.errors import UsageError

Given = str | Path | Recipe | Mapping[str, Any]
RECIPE_SUFFIXES = (".yaml", ".yml")


def recipe_for(
    model: Given, recipe: str | Path | Recipe | None = None, fields: Mapping[str, Any] | None = None
) -> Recipe:
    """The recipe that a call asks for. Raises RecipeError, DataError, UsageError.

    A model file without a recipe gets the passes and constraints of ``bare_fields``.
    """
    given = dict(fields or {})
    data = given.pop("data") if isinstance(given.get("data"), str | Path) else None
    whole = recipe is not None or isinstance(model, Recipe) or _is_recipe(model)
    if data is not None and whole:
        raise UsageError("the recipe says which data to use", hint="change its key data.source")
    if isinstance(model, Recipe) or _is_recipe(model):
        if recipe is not None:
            raise UsageError("two recipes were given", hint="the first argument is one already")
        return _changed(model if isinstance(model, Recipe) else load_recipe(Path(model)), given)  # type: ignore[arg-type]
    if not isinstance(model, str | Path | Mapping):
        raise UsageError(
            f"a {type(model).__name__} is not a model",
            hint="pass a torch.nn.Module, a keras.Model, a tf.function, a model file, a recipe, "
            "or a mapping such as {'format': 'torch', 'factory': 'net.py:resnet'}",
        )
    spec = model if isinstance(model, Mapping) else {"path": str(Path(model).absolute())}
    if recipe is not None:
        base = recipe if isinstance(recipe, Recipe) else load_recipe(Path(recipe))
        return _changed(base, {**given, "model": spec})
    if isinstance(model, Mapping):
        section = {"data": data_fields(Path(data), train=True)} if data else {}
        return make_recipe({**given, **section, "model": spec})
    archive = None if data is None else Path(data)
    return make_recipe({**bare_fields(Path(model).absolute(), archive), **given})


def _is_recipe(model: Given) -> bool:
    return isinstance(model, str | Path) and Path(model).suffix in RECIPE_SUFFIXES


def _changed(recipe: Recipe, fields: Mapping[str, Any]) -> Recipe:
    """A recipe with fields replaced; lines of replaced ones name nothing any more."""
    if not fields:
        return recipe
    kept = {at: line for at, line in recipe.lines.items() if at.split(".")[0] not in fields}
    return make_recipe(
        {**recipe.spelled(), **fields}, root=recipe.root, path=recipe.path, lines=kept
    )
