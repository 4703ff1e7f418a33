"""``edgeopt benchmark``: race model files, without a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import devices_option, json_option, print_json

SHOWN = (
    "ratio.latency.p50", "latency.p50", "latency.p90", "latency.p99", "load_time", "memory.peak",
)  # fmt: skip
COUNTED = ("ratio.instructions", "instructions", "bytes.loaded", "bytes.stored")  # without time


def _sizes(_context: Any, _option: Any, given: tuple[str, ...]) -> dict[str, int]:
    """``DIM=SIZE`` by dimension. Raises click's own error for what cannot be read."""
    sizes: dict[str, int] = {}
    for text in given:
        name, _, size = text.rpartition("=")
        if not name or not (size.isascii() and size.isdigit() and int(size) > 0):
            raise click.BadParameter(f"'{text}': write DIM=SIZE, such as time=16000")
        if name in sizes:
            raise click.BadParameter(f"'{name}' is given twice")
        sizes[name] = int(size)
    return sizes


@click.command("benchmark")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--target", "targets", multiple=True, default=("local/*",), show_default=True,
    help="Where to race.",
)  # fmt: skip
@click.option(
    "--data", type=click.Path(path_type=Path),
    help="An .npz with an array for each model input, named ARRAY or SPLIT.ARRAY "
    "[default: random samples]",
)  # fmt: skip
@click.option(
    "--shape", "shapes", multiple=True, metavar="DIM=SIZE", callback=_sizes,
    help="The size of a free dimension of random samples: by its name, or INPUT:AXIS=SIZE.",
)  # fmt: skip
@devices_option
@click.option(
    "--allow-fallback", is_flag=True,
    help="Measure even if nodes do not run on the requested accelerator.",
)  # fmt: skip
@json_option("Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def command(
    files: tuple[Path, ...],
    targets: tuple[str, ...],
    data: Path | None,
    shapes: dict[str, int],
    allow_fallback: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Race model FILES, each against the first: latency, load time, memory and size, or
    instructions on an emulated device.

    Each file is raced in every runtime of the target that can read it. The first file is also
    raced against itself, which shows the noise of the machine. A runtime that cannot run a file
    is named below the table. Exits 5 if some targets could not be reached.
    """
    with lazy.listeners.listening(*([] if quiet else [lazy.progress.progress()])) as on_event:
        report = lazy.api.benchmark(
            *files,
            targets=targets,
            data=data,
            shapes=shapes,
            allow_fallback=allow_fallback,
            on_event=on_event,
        )
    if as_json:
        print_json(report)
    else:
        show(report)
    code: int = report["exit_code"]
    return code


def show(report: dict[str, Any]) -> None:
    """A table for each target."""
    for raced in report["targets"]:
        _show(raced, report["data"])


def _show(raced: dict[str, Any], data: str) -> None:
    facts = raced["machine"]
    runtimes = ", ".join(f"{name} {version}" for name, version in raced["runtimes"].items())
    lazy.layout.show_line(
        f"{raced['target']}, {facts['isa']}, {runtimes}, "
        f"{data if data != 'random' else 'random samples'}",
        "bold",
    )
    counted = any("instructions" in file["measurements"] for file in raced["files"])
    columns = COUNTED if counted else SHOWN
    rows, figures = [], []
    for file in raced["files"]:
        cells = [file["path"], lazy.target.parse_target(file["target"]).runtime]
        for quantity in columns:
            raw = file["measurements"].get(quantity)
            if raw is None:
                cells.append("-")
                continue
            measurement = lazy.measurement.Measurement.model_validate(raw)
            figures.append(measurement)
            beside = [lazy.shown.interval(measurement)] if quantity.endswith("latency.p50") else []
            cells.append(
                "\n".join(
                    filter(None, [lazy.shown.figure_text(measurement), *beside, *measurement.marks])
                )
            )
        cells.append(lazy.measurement.figure(file["size_bytes"], "bytes"))
        cells.append(", ".join(f"{n} {name}" for name, n in file["placement"].items()))
        rows.append(cells)
    headers = ["file", "runtime", *map(_header, columns), "size", "nodes"]
    lazy.layout.show_table(headers, rows, right=",".join(headers[2:-1]))
    for mark in lazy.shown.marks(figures):
        lazy.layout.show_line(f"note: {mark}", "dim")
    for row in raced["lost"]:
        error = lazy.errors.from_record(row["error"])
        lazy.layout.show_line(
            f"note: {row['path']} was not raced in {row['target']}: {error.what}", "yellow"
        )


def _header(quantity: str) -> str:
    against = " / first" if quantity.startswith("ratio.") else ""
    return lazy.quantities.short_of(quantity.removeprefix("ratio.")) + against
