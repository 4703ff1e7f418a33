"""A recipe as a file: what a call asked for, to be run again, changed and kept."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from edgeopt.recipe.nouns import Recipe
from edgeopt.recipe.steps import Step

RECIPE = "recipe.yaml"
MADE = "# What edgeopt tried of a model that came without a recipe."
ONE_LINE = 1 << 20  # characters that a line may have
COMMENTS = {
    "model": "the network as it was trained",
    "data": "samples: candidates are chosen on validation, and the choice is tested once on test",
    "targets": "where it must run; local/* is every runtime that is installed here",
    "objective": "what is made best",
    "constraints": "what must hold: points (pt) are percentage points",
    "passes": "the steps in order; of one_of each is tried, and none keeps what there is",
    "limits": "bounds of the whole run",
}
IN_MODEL = ("path", "factory", "weights", "sources", "custom_objects", "trained_on")  # paths


def made_recipe(recipe: Recipe, folder: Path) -> str | None:
    """The text of ``RECIPE`` in the folder of a result, where the call had no recipe of its own;
    None also where a file of the user's lies there, and for what lives in this process alone."""
    file = folder / RECIPE
    if recipe.path is not None or recipe.held or recipe.functions:
        return None
    if file.exists() and not is_made(file):
        return None
    return f"{MADE}\n\n{written(recipe, folder)}"


def is_made(file: Path) -> bool:
    """Whether a file is a recipe that edgeopt made."""
    return file.is_file() and file.read_text(errors="replace").startswith(MADE)


def written(recipe: Recipe, folder: Path) -> str:
    """The recipe as YAML with a comment above each key, to lie in ``folder``: what is as it would
    be anyway is left out, paths are relative to the folder."""
    fields = recipe.model_dump(mode="json", exclude_defaults=True)
    fields["passes"] = [_step(step) for step in recipe.passes]
    _rebase(fields, recipe.root.resolve(), folder.resolve())
    order = [name for name in Recipe.model_fields if name in fields and fields[name] != []]
    parts = []
    for name in order:
        said = f"# {COMMENTS[name]}\n" if name in COMMENTS else ""
        parts.append(said + _yaml(name, fields[name]))
    return "\n".join(parts)


def _step(step: Step) -> Any:
    """As a user writes it: a pass without fields by its name alone."""
    forms = [c.name if not c.fields else {c.name: c.fields} for c in step.choices]
    return forms[0] if len(forms) == 1 else {"one_of": forms}


def _yaml(name: str, value: Any) -> str:
    """A key with what it holds: a line for each entry."""
    if isinstance(value, Mapping):
        return "\n".join([f"{name}:", *(f"  {k}: {_flow(v)}" for k, v in value.items())]) + "\n"
    if isinstance(value, list):
        return "\n".join([f"{name}:", *(f"  - {_item(each)}" for each in value)]) + "\n"
    return f"{name}: {_flow(value)}\n"


def _item(value: Any) -> str:
    """An entry of a list; a map of one key without braces."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((key, held),) = value.items()
        return f"{key}: {_flow(held)}"
    return _flow(value)


def _flow(value: Any) -> str:
    """A value in one line."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style, writer.width = True, ONE_LINE
    writer.allow_unicode = True
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    writer.dump(value, text)
    return text.getvalue().removesuffix("\n").removesuffix("\n...")


def _rebase(fields: dict[str, Any], root: Path, folder: Path) -> None:
    """Make paths relative to another folder than the recipe's."""

    def moved(held: Any) -> Any:
        """A path, or FILE.py:NAME; of a list each; the name of a module, and names, stay."""
        if isinstance(held, list):
            return [moved(each) for each in held]
        file, colon, name = held.rpartition(":")
        if colon and name.isidentifier():
            return f"{moved(file)}:{name}" if file.endswith(".py") else held
        return os.path.relpath(root / held, folder)

    model, data = fields["model"], fields.get("data", {})
    for section, keys in ((model, IN_MODEL), (data, ("source",))):
        for key in keys:
            if section.get(key):
                section[key] = moved(section[key])
    classes = data.get("classes")
    if isinstance(classes, str):
        data["classes"] = moved(classes)
    elif isinstance(classes, dict):
        data["classes"] = {k: moved(v) if isinstance(v, str) else v for k, v in classes.items()}
    for metric in fields.get("metrics") or ():
        if isinstance(metric, dict):
            metric["function"] = moved(metric["function"])
