"""``edgeopt benchmark``: race model files, without a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeopt.cli.commands import devices_option, json_option, print_json

SHOWN = (
    "ratio.latency.p50", "latency.p50", "latency.p90", "latency.p99", "load_time", "memory.peak",
)  # fmt: skip
COUNTED = ("ratio.instructions", "instructions", "bytes.loaded", "bytes.stored")  # without time


@click.command("benchmark")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--target", "targets", multiple=True, default=("local/*",), show_default=True,
    help="Where to race.",
)  # fmt: skip
@click.option(
    "--data", type=click.Path(path_type=Path),
    help="An .npz with an array for each model input, named ARRAY or SPLIT.ARRAY; random samples "
    "otherwise.",
)  # fmt: skip
@devices_option
@click.option(
    "--allow-fallback", is_flag=True,
    help="Measure also where nodes run elsewhere than on the accelerator asked for.",
)  # fmt: skip
@json_option("Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    files: tuple[Path, ...],
    targets: tuple[str, ...],
    data: Path | None,
    allow_fallback: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Race model FILES, each against the first: latency, load time, memory, size; instructions
    on an emulated device.

    Each file races in every runtime of the target that reads it. The first also races
    itself: what it shows there is the noise of the machine. A runtime that cannot run a file is
    named below the table. Exits 5 where some targets could not be reached.
    """
    from edgeopt.api import benchmark
    from edgeopt.listeners import listening
    from edgeopt.listeners.progress import progress

    with listening(*([] if quiet else [progress()])) as tell:
        found = benchmark(
            *files, targets=targets, data=data, allow_fallback=allow_fallback, on_event=tell
        )
    if as_json:
        print_json(found)
    else:
        show(found)
    code: int = found["exit_code"]
    return code


def show(found: dict[str, Any]) -> None:
    """A table for each target."""
    for raced in found["targets"]:
        _show(raced, found["data"])


def _show(raced: dict[str, Any], data: str) -> None:
    from edgeopt.report.layout import show_line, show_table
    from edgeopt.schema.errors import from_record
    from edgeopt.schema.measurement import MARKS, Measurement, figure, span
    from edgeopt.schema.target import parse_target

    facts = raced["machine"]
    runtimes = ", ".join(f"{name} {version}" for name, version in raced["runtimes"].items())
    show_line(
        f"{raced['target']}, {facts['isa']}, {runtimes}, "
        f"{data if data != 'random' else 'random samples'}",
        "bold",
    )
    counted = any("instructions" in file["measurements"] for file in raced["files"])
    shown = COUNTED if counted else SHOWN
    rows = []
    for file in raced["files"]:
        cells = [file["path"], parse_target(file["target"]).runtime]
        for quantity in shown:
            raw = file["measurements"].get(quantity)
            if raw is None:
                cells.append("-")
                continue
            found = Measurement.model_validate(raw)
            cell = figure(found.value, found.unit)
            if quantity.endswith("latency.p50"):
                cell += f"\n{span(*found.interval, found.unit)}"
            cells.append(cell)
        cells.append(figure(file["size_bytes"], "bytes"))
        cells.append(", ".join(f"{n} {name}" for name, n in file["placement"].items()))
        rows.append(cells)
    headers = ["file", "runtime", *map(_header, shown), "size", "nodes"]
    show_table(headers, rows, right=",".join(headers[2:-1]))
    for mark in sorted({mark for file in raced["files"] for mark in file["marks"]}):
        show_line(f"note: {MARKS.get(mark, mark)}", "dim")
    for row in raced["lost"]:
        error = from_record(row["error"])
        show_line(f"note: {row['path']} takes no part in {row['target']}: {error.what}", "yellow")


def _header(quantity: str) -> str:
    from edgeopt.schema.quantities import short_of

    against = " / first" if quantity.startswith("ratio.") else ""
    return short_of(quantity.removeprefix("ratio.")) + against
