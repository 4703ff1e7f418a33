"""``edgeopt env``: tool environments, in which passes run whose libraries clash with all others."""

from __future__ import annotations

from typing import Any

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import json_option, print_json


@click.group("env")
def command() -> None:
    """List, make or remove tool environments.

    A tool environment is a Python with pinned packages of its own. Passes whose libraries clash
    with others run there: export-tflite for ONNX models, for one.
    """


@command.command("list")
@json_option("Print the list as JSON.")
def list_(as_json: bool) -> int:
    """List tool environments, and whether they are made."""
    found = lazy.api.tool_environments()
    if as_json:
        print_json(found)
        return 0
    rows = [
        (e["name"], "yes" if e["made"] else "no", e["python"], e["interpreter"] or "not found",
         e["purpose"], lazy.measurement.figure(e["size_bytes"], "bytes") if e["made"] else "")
        for e in found
    ]  # fmt: skip
    headings = ["environment", "made", "Python", "found at", "for", "size"]
    lazy.layout.show_table(headings, rows, right="size")
    for each in found:
        lazy.layout.show_line(f"{each['name']}: {each['folder']}", "dim")
    return 0


@command.command("make")
@click.argument("name")
@json_option("Print what was done as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def make(name: str, as_json: bool, quiet: bool) -> int:
    """Make the tool environment NAME from its pins, by pip or uv. It downloads packages."""

    def tell(done: float, total: float, at: str) -> None:
        if not quiet:
            click.echo(f"{done:3.0f}/{total:.0f} {at}", err=True)

    made = lazy.api.make_environment(name, tell)
    if as_json:
        print_json(made)
    else:
        state = "made" if made["new"] else "was there already"
        lazy.layout.show_line(f"{name} {state}: {made['folder']}")
    return 0


@command.command("remove")
@click.argument("name")
@json_option("Print what was done as JSON.")
def remove(name: str, as_json: bool) -> int:
    """Remove the tool environment NAME; it is made again when it is needed."""
    folders = lazy.api.remove_environment(name)
    done: dict[str, Any] = {"name": name, "removed": folders}
    if as_json:
        print_json(done)
    else:
        lazy.layout.show_line(f"{name}: removed" if folders else f"{name}: was not made")
    return 0
