"""``edgeopt job``: measure on a board that no network reaches."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edgeopt.cli import lazy
from edgeopt.cli.benchmark import show
from edgeopt.cli.commands import json_option, print_json


@click.group("job")
def command() -> None:
    """Export a measurement as one file, and import its result."""


@command.command("export")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--target", required=True, help="What the board is, such as offline:camera/onnxruntime."
)
@click.option(
    "--data", type=click.Path(path_type=Path),
    help="An .npz with an array for each model input, named ARRAY or SPLIT.ARRAY "
    "[default: random samples]",
)  # fmt: skip
@click.option(
    "--processes", type=click.IntRange(3, 15), default=7, show_default=True,
    help="Number of fresh processes for each race.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="Write the job to a file instead of standard output.",
)  # fmt: skip
def export(
    files: tuple[Path, ...], target: str, data: Path | None, processes: int, out: Path | None
) -> int:
    """Write a zip app that scores model FILES and races each against the first.

    FILES may also be one result (its folder, or result.json); its reference and its chosen model
    are then measured. Run the app on the board, which needs Python 3.8, numpy and the runtime:
    python3 job.pyz > result.json
    """
    if out is None and sys.stdout.isatty():
        raise lazy.errors.UsageError(
            "a zip app cannot be written to a terminal", hint="use > job.pyz, or --out FILE"
        )
    app = lazy.api.export_job(*files, target=target, data=data, processes=processes)
    if out is None:
        sys.stdout.buffer.write(app)
        return 0
    try:
        out.write_bytes(app)
    except OSError as error:
        out.unlink(missing_ok=True)
        raise lazy.errors.StoreError(error.strerror or str(error), where=str(out)) from None
    return 0


@command.command("import")
@click.argument("result", type=click.Path(path_type=Path))
@json_option("Print the figures as JSON.")
def import_(result: Path, as_json: bool) -> int:
    """Check the RESULT from a board and show its figures, as 'benchmark' does."""
    report = lazy.api.import_job(result)
    if as_json:
        print_json(report)
    else:
        show(report)
    return 0
