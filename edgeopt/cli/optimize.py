"""``edgeopt optimize``: the whole way, from a recipe or a model to the chosen artifact."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import devices_option, json_option, print_json
from edgeopt.cli.model_options import model_options
from edgeopt.report import show

if TYPE_CHECKING:
    from edgeopt.schema.errors import EdgeoptError
    from edgeopt.schema.result import Result

OUT = "edgeopt-out"


@click.command("optimize")
@click.argument("model", metavar="RECIPE|MODEL", type=click.Path(path_type=Path))
@model_options
@click.option("--target", "targets", multiple=True, help="Where to run, instead of the recipe's.")
@click.option(
    "--constraint", "constraints", multiple=True, help="A constraint, instead of the recipe's."
)
@click.option("--objective", help="The quantity to optimize, instead of the recipe's.")
@click.option(
    "--speedup",
    metavar="4x",
    help="Prune to the widest network that measures this much faster, and distill it.",
)
@click.option("--time", "time_limit", metavar="'30 min'", help="Time limit for the whole run.")
@click.option("--memory", metavar="'4 GB'", help="Limit of memory for all processes of the run.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder for the result  [default: {OUT}/NAME]",
)
@click.option(
    "--allow-fallback", is_flag=True,
    help="Measure even if nodes do not run on the requested accelerator.",
)  # fmt: skip
@click.option("--no-bench", is_flag=True, help="Build and check only; measure nothing.")
@click.option(
    "--no-race", is_flag=True,
    help="Score and choose without races: by size if the objective is a time; no time is taken.",
)  # fmt: skip
@click.option(
    "--quick", is_flag=True, help="Short races only, to try a recipe: do not quote these times."
)
@click.option(
    "--yes", "-y", is_flag=True, help="Make missing tool environments (edgeopt env) without asking."
)
@devices_option
@json_option("Print the result document.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--log", type=click.Path(path_type=Path), help="Append all events as JSON lines.")
def command(
    model: Path,
    data: Path | None,
    label: str | None,
    weights: Path | None,
    max_drop: str | None,
    targets: tuple[str, ...],
    constraints: tuple[str, ...],
    objective: str | None,
    speedup: str | None,
    time_limit: str | None,
    memory: str | None,
    out: Path | None,
    allow_fallback: bool,
    no_bench: bool,
    no_race: bool,
    quick: bool,
    yes: bool,
    as_json: bool,
    quiet: bool,
    log: Path | None,
) -> int:
    """Build candidates and choose the best artifact for each target.

    RECIPE is a YAML file. A MODEL without one (.onnx, .tflite, .pt2, .keras, .h5, a SavedModel, or
    FILE.py:NAME of a torch network with --weights) is exported where it must be, simplified and,
    with --data, quantized; what was tried is written as recipe.yaml beside the result. It may lose
    at most one point of accuracy; without classes, its SQNR to the source must be at least 9 dB.

    Exit codes: 0 chosen, 1 error, 2 wrong usage or recipe, 3 constraints unmet or refused on
    the test split, 4 inconclusive, 5 some targets unreachable or failed and the others decided,
    130 interrupted.
    """
    limits = {k: text for k, text in (("time", time_limit), ("memory", memory)) if text}
    given: dict[str, Any] = {
        "data": data, "targets": targets, "constraints": constraints, "objective": objective,
        "allow_fallback": allow_fallback, "speedup": speedup, "label": label, "weights": weights,
        "max_drop": max_drop, "limits": limits,
    }  # fmt: skip
    fields = {name: value for name, value in given.items() if value}
    folder = out or Path(OUT) / model.stem

    def run(may_make: bool) -> Result:
        with lazy.listeners.listening(*_listeners(quiet, log)) as on_event:
            return lazy.api.optimize(
                model,
                out=folder,
                on_event=on_event,
                bench=not no_bench,
                quick=quick,
                race=not no_race,
                make_environments=may_make,
                **fields,
            )

    try:
        result = run(yes)
    except lazy.errors.ConsentError as missing:
        if not _agreed(missing):
            raise
        result = run(True)
    _show(result, folder, as_json)
    return result.exit_code


def _listeners(quiet: bool, log: Path | None) -> list[Any]:
    shown = [] if quiet else [lazy.progress.progress()]
    return [*shown, *([lazy.log.JsonLines(log)] if log else [])]


def _agreed(missing: EdgeoptError) -> bool:
    """Ask on the terminal; no where there is none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    click.echo(missing.what, err=True)
    return click.confirm("Make it now? Packages will be downloaded", default=False, err=True)


def _show(result: Result, folder: Path, as_json: bool) -> None:
    if as_json:
        print_json(result.to_json())
        return

    show(result, "terminal", str(folder))
    click.echo(f"result: {folder / 'result.json'}    report: {folder / 'report.html'}")
    if lazy.writing.is_made(made := folder / lazy.writing.RECIPE):
        click.echo(f"recipe: {made}, what was tried")
