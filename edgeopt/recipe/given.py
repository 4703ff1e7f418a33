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
SHORT = {"label": "which labels to use", "weights": "which weights to use"}  # of a bare model
KEYS = {"data": "data.source", "label": "data.label", "weights": "model.weights"}


def recipe_for(
    model: Given, recipe: str | Path | Recipe | None = None, fields: Mapping[str, Any] | None = None
) -> Recipe:
    """The recipe that a call asks for. Raises RecipeError, DataError, ModelError, UsageError.

    A model without a recipe gets the passes and constraints of ``bare_fields``; it may be written
    ``FILE.py:NAME`` with the field ``weights``, and the array of its labels as ``label``.
    """
    given = dict(fields or {})
    data = given.pop("data") if isinstance(given.get("data"), str | Path) else None
    short = {name: given.pop(name) for name in SHORT if name in given}
    whole = recipe is not None or isinstance(model, Recipe) or _is_recipe(model)
    if whole:
        for name, value in (("data", data), *short.items()):
            if value is not None:
                raise UsageError(
                    f"the recipe says {SHORT.get(name, 'which data to use')}",
                    hint=f"change its key {KEYS[name]}",
                )
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
    spec = model if isinstance(model, Mapping) else _spec(str(model), short.get("weights"))
    if recipe is not None:
        base = recipe if isinstance(recipe, Recipe) else load_recipe(Path(recipe))
        return _changed(base, {**given, "model": spec})
    if short.get("label") and data is None:
        raise UsageError("'label' names an array of the data, and there is none",
                         hint="name the data, too: --data FILE")  # fmt: skip
    if isinstance(model, Mapping) and (data is None or "passes" in given):
        if short.get("weights") is not None:
            raise UsageError("'weights' stands under 'model'", hint="model: {weights: FILE}")
        label = short.get("label")
        section = {"data": data_fields(Path(data), train=True, label=label)} if data else {}
        return make_recipe({**given, **section, "model": spec})
    archive = None if data is None else Path(data)
    return make_recipe({**bare_fields(spec, archive, short.get("label")), **given})


def _spec(model: str, weights: str | Path | None) -> dict[str, Any]:
    """What stands under ``model`` for a file, or for ``FILE.py:NAME`` and its weights."""
    file, colon, name = model.rpartition(":")
    if colon and file.endswith(".py") and name.isidentifier():
        held = {} if weights is None else {"weights": str(Path(weights).absolute())}
        return {"format": "torch", "factory": f"{Path(file).absolute()}:{name}", **held}
    if weights is not None:
        raise UsageError(
            "weights are for a network that a function builds",
            where=str(weights),
            hint="write the model as FILE.py:NAME",
        )
    return {"path": str(Path(model).absolute())}


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
