"""``edgeopt baseline``: save what was chosen, to compare later choices with it."""

from __future__ import annotations

from pathlib import Path

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import json_option, print_json
from edgeopt.cli.model_options import baselines_option


@click.group("baseline")
def command() -> None:
    """Save choices as small files that go with the code; `edgeopt check` compares others with
    them."""


@command.command("save")
@click.argument("name")
@click.argument("result", type=click.Path(path_type=Path))
@baselines_option
@click.option(
    "--with-model", is_flag=True,
    help="Keep the chosen files beside it, so that any machine can race them.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a baseline of that name.")
def save(name: str, result: Path, folder: Path, with_model: bool, force: bool) -> int:
    """Save what RESULT (result.json, or its folder) chose as the baseline NAME."""
    file = lazy.baselines.save(name, result, folder, with_model=with_model, force=force)
    lazy.layout.show_line(f"saved {file}; compare with it: edgeopt check RESULT --baseline {name}")
    return 0


@command.command("ls")
@baselines_option
@json_option("Print the list as JSON.")
def ls(folder: Path, as_json: bool) -> int:
    """List baselines, and what each chose."""
    found = lazy.baselines.listed(folder)
    if as_json:
        print_json(found)
        return 0
    rows = [(each["name"], each["saved"], target, chosen)
            for each in found for target, chosen in each["targets"].items()]  # fmt: skip
    lazy.layout.show_table(("baseline", "saved", "target", "chosen"), rows)
    for each in found:
        if each["error"]:
            lazy.layout.show_line(f"{each['name']}: {each['error']}")
    return 0
