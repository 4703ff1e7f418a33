"""The steps of a recipe: passes by name, alone or as alternatives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError, model_validator

from edgeopt import step_calls
from edgeopt.schema.base import Noun
from edgeopt.schema.errors import UsageError, did_you_mean
from edgeopt.step import for_engine, passes_named, registry
from edgeopt.yaml_lines import known_keys


class Choice(Noun):
    """One alternative of a step: a pass with its fields, or ``none``."""

    name: str
    fields: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """As it would be written in a recipe."""
        return f"{self.name} {json.dumps(self.fields)}" if self.fields else self.name

    @property
    def stage(self) -> bool:
        """Whether it changes the network itself."""
        named = self.name != "none"
        return named and any(kind.stage for kind in passes_named(self.name).values())


class Step(Noun):
    """One step of the pipeline: alternatives that are tried side by side."""

    choices: tuple[Choice, ...]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and set(raw) == {"one_of"}:
            several = raw["one_of"]
            if not isinstance(several, list | tuple) or not several:
                raise ValueError("'one_of' takes a list of passes")
            return {"choices": [_choice(each) for each in several]}
        if isinstance(raw, Mapping) and set(raw) == {"choices"}:
            return raw
        return {"choices": [_choice(raw)]}

    def to_yaml(self) -> Any:
        """The form a recipe has it in."""
        forms = [c.name if c.name == "none" else {c.name: c.fields} for c in self.choices]
        return forms[0] if len(forms) == 1 else {"one_of": forms}


def _choice(raw: Any) -> dict[str, Any]:
    if raw is None:
        raw = "none"
    if isinstance(raw, str):
        name, fields = raw, dict[str, Any]()
    elif isinstance(raw, Mapping) and len(raw) == 1:
        ((name, fields),) = raw.items()
        fields = {} if fields is None else fields
    else:
        raise ValueError("a step is one pass, 'PASS: {FIELD: VALUE}', or 'one_of: [...]'")
    if name == "none":
        if fields:
            raise ValueError("'none' takes no fields")
        return {"name": "none"}
    if not isinstance(fields, Mapping):
        raise ValueError(f"the fields of '{name}' are a mapping, not {fields!r}")
    _fits_a_pass(name, dict(fields))
    return {"name": name, "fields": dict(fields)}


def _fits_a_pass(name: str, fields: dict[str, Any]) -> None:
    registry()  # what is wrong with a plug-in is no fault of the recipe's
    try:
        kinds = passes_named(name)
    except UsageError as error:
        raise ValueError(f"{error.what}. {error.hint}".rstrip(". ")) from None
    problems = []
    for kind in for_engine(kinds, fields.get("engine")).values():
        try:
            step_calls.read(kind, fields)
        except ValidationError as error:
            first = error.errors()[0]
            problems.append(_sentence(first, kind, f"pass '{name}': "))
        else:
            return
    raise ValueError(problems[0])


def _sentence(error: Any, model: type[BaseModel], prefix: str = "") -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = did_you_mean(str(error["loc"][-1]), known_keys(model))
        return f"{prefix}unknown key '{error['loc'][-1]}'. {near}".rstrip()
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        message = "is missing"
    return f"{prefix}'{place}': {message}" if place else prefix + message
