"""``edgeopt prunable``: which layers of a recipe's network can be pruned, and why others cannot."""

from __future__ import annotations

from pathlib import Path

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import json_option, print_json


@click.command("prunable")
@click.argument("recipe", metavar="RECIPE", type=click.Path(path_type=Path))
@json_option("Print the layers as JSON.")
def command(recipe: Path, as_json: bool) -> int:
    """List which layers of a RECIPE's network prune-structured can narrow, and why it leaves the
    others unchanged. Every group of layers is tried on real samples; nothing is modified."""
    with lazy.listeners.listening(*([] if as_json else [lazy.progress.progress()])) as tell:
        layers = lazy.api.prunable(recipe, on_event=tell)
    if as_json:
        print_json({"layers": layers})
        return 0
    rows = [
        (
            each["path"],
            each["kind"],
            f"{each['units']} {each['unit']}s" if each["units"] else "",
            each["group"] if each["group"] != each["path"] else "",
            each["reason"],
        )
        for each in layers
    ]
    lazy.layout.show_table(
        ["layer", "kind", "can lose", "pruned together with", "left unchanged because"], rows
    )
    free = sum(not each["reason"] for each in layers)
    lazy.layout.show_line(f"{free} of {len(layers)} layers can be pruned")
    return 0
