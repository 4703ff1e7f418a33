"""``edgeopt init``: a recipe to start from, asked for on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from edgeopt.cli import lazy
from edgeopt.cli.model_options import model_options

ASKED = {
    "model": "Model (a file, or FILE.py:NAME of a torch network)",
    "data": "Samples (.npz, or a folder of images)",
    "weights": "Its weights (.safetensors or a state dict; empty for none)",
}


@click.command("init")
@click.argument("model", required=False, type=click.Path(path_type=Path))
@model_options
@click.option("--target", "targets", multiple=True, help="Where to run  [default: local/*]")
@click.option("--time", "time_limit", metavar="'30 min'", help="Time limit for the whole run.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("recipe.yaml"),
    show_default=True,
    help="File to write.",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
def command(
    model: Path | None,
    data: Path | None,
    label: str | None,
    weights: Path | None,
    max_drop: str | None,
    targets: tuple[str, ...],
    time_limit: str | None,
    out: Path,
    force: bool,
) -> int:
    """Write a commented recipe for a model and its samples. Asks on the terminal for what is
    missing."""
    if out.exists() and not force:
        raise lazy.errors.UsageError("there is such a file already", where=str(out),
                                     hint="name another with --out, or say --force")  # fmt: skip
    model = model or Path(_asked("model"))
    data = data or Path(_asked("data"))
    if weights is None and ".py:" in model.name and _on_terminal():
        weights = Path(given) if (given := _asked("weights", "")) else None
    given_fields: dict[str, Any] = {
        "data": data, "label": label, "weights": weights, "max_drop": max_drop,
        "targets": targets, "limits": {"time": time_limit} if time_limit else None,
    }  # fmt: skip
    fields = {name: value for name, value in given_fields.items() if value}
    lazy.api.save_text(lazy.api.recipe_text(model, out.parent, **fields), out)
    click.echo(f"wrote {out}; see what it would do: edgeopt plan {out}")
    return 0


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _asked(what: str, default: str | None = None) -> str:
    """The answer to a question. Raises UsageError where there is no terminal to ask on."""
    if not _on_terminal():
        option = "MODEL" if what == "model" else f"--{what}"
        raise lazy.errors.UsageError(
            f"'{option}' is missing", hint="edgeopt init MODEL --data FILE"
        )
    return str(click.prompt(ASKED[what], default=default, show_default=False, err=True))
