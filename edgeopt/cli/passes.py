"""``edgeopt passes``: what a recipe may ask for."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import json_option, print_json

if TYPE_CHECKING:
    from edgeopt.step import Pass


@click.command("passes")
@click.argument("name", required=False)
@json_option("Print the passes as JSON.")
def command(name: str | None, as_json: bool) -> int:
    """List all passes, or show what the pass NAME does and its fields."""
    kinds = list(lazy.step.passes_named(name).values() if name else lazy.step.registry().values())
    kinds.sort(key=lambda kind: (kind.name, kind.takes))
    if as_json:
        print_json([_document(kind) for kind in kinds])
    elif name:
        for kind in kinds:
            _show(kind)
    else:
        _list(kinds)
    return 0


def _list(kinds: list[type[Pass]]) -> None:
    rows = [(k.name, f"{k.takes} -> {k.gives}", str(k.promise), _summary(k)) for k in kinds]
    lazy.layout.show_table(["pass", "formats", "promise", "what it does"], rows)
    lazy.layout.show_line()
    lazy.layout.show_line("edgeopt passes NAME shows the fields of a pass.", "dim")


def _show(kind: type[Pass]) -> None:
    lazy.layout.show_line(f"{kind.name} ({kind.takes} -> {kind.gives})", "bold")
    lazy.layout.show_line(inspect.cleandoc(kind.__doc__ or ""))
    lazy.layout.show_line()
    lazy.layout.show_facts(
        [
            ("promise", str(kind.promise)),
            ("libraries", ", ".join(kind.uses)),
            ("sees the splits", ", ".join(kind.splits) or "none"),
        ]
    )
    if kind.model_fields:
        lazy.layout.show_line()
        rows = [
            (name, str(field["default"]), field["values"], field["description"])
            for name, field in _document(kind)["fields"].items()
        ]
        lazy.layout.show_table(["field", "default", "values", "meaning"], rows)


def _document(kind: type[Pass]) -> dict[str, Any]:
    properties = kind.model_json_schema().get("properties", {})
    return {
        "name": kind.name,
        "takes": kind.takes,
        "gives": kind.gives,
        "summary": _summary(kind),
        "promise": kind.promise.to_json(),
        "splits": list(kind.splits),
        "uses": list(kind.uses),
        "fields": {
            name: {
                "default": schema.get("default"),
                "values": _values(schema),
                "description": schema.get("description", ""),
            }
            for name, schema in properties.items()
        },
    }


def _values(schema: dict[str, Any]) -> str:
    """What a field may hold, in words."""
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    if "anyOf" in schema:
        kinds = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(map(_values, kinds)))
    bounds = [
        f"{sign} {schema[key]}"
        for key, sign in (
            ("minimum", ">="),
            ("exclusiveMinimum", ">"),
            ("maximum", "<="),
            ("exclusiveMaximum", "<"),
        )
        if key in schema
    ]
    return " ".join([str(schema.get("type", "any")), ", ".join(bounds)]).strip()


def _summary(kind: type[Pass]) -> str:
    lines = (kind.__doc__ or "").strip().splitlines()
    return lines[0] if lines else ""
