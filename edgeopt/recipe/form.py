"""The JSON Schema of a recipe, as users write it: for editors, and for checks in pipelines."""

from __future__ import annotations

from typing import Any

from edgeopt.recipe.nouns import Recipe
from edgeopt.recipe.reading import INTERNAL
from edgeopt.step import registry

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def recipe_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) with the fields of every known pass in it."""
    schema = Recipe.model_json_schema()
    fields = schema["properties"]
    for name in INTERNAL:
        del fields[name]
    fields["model"] = {
        "description": "the source model: a file, or a mapping",
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/ModelSpec"}],
    }
    for name in ("targets", "constraints", "metrics"):
        items = fields[name].get("items") or fields[name]["anyOf"][0]["items"]
        single = items.get("anyOf", [items])
        forms = [{"type": "array", "items": items}, *single]
        if fields[name].get("default", ()) is None:
            forms.append({"type": "null"})
        fields[name] = {"description": fields[name]["description"], "anyOf": forms}
    defs = schema["$defs"]
    del defs["Choice"]
    names = sorted({name for name, _ in registry()})
    defs["Pass"] = {"anyOf": [{"enum": ["none", *names]}, *map(_with_fields, names)]}
    several = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Pass"}}
    one_of = {
        "type": "object",
        "properties": {"one_of": several},
        "required": ["one_of"],
        "additionalProperties": False,
    }
    defs["Step"] = {"anyOf": [{"$ref": "#/$defs/Pass"}, one_of]}
    return {"$schema": DRAFT, **schema}


def _with_fields(name: str) -> dict[str, Any]:
    """``{NAME: {FIELD: VALUE}}``, for any of the formats that the pass takes."""
    kinds = [kind for (known, _), kind in sorted(registry().items()) if known == name]
    forms: list[dict[str, Any]] = [kind.model_json_schema() for kind in kinds]
    return {
        "type": "object",
        "properties": {name: {"anyOf": [*forms, {"type": "null"}]}},
        "required": [name],
        "additionalProperties": False,
    }
