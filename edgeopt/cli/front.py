"""``edgeopt front``: the Pareto front of a result, and one artifact for all its targets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import json_option, print_json

if TYPE_CHECKING:
    from edgeopt.schema.front import Fronts, TargetFront

SHARED = 5  # artifacts for all targets that are shown


@click.command("front")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--objective", "objectives", multiple=True, metavar="QUANTITY",
    help="An axis, such as latency.p50, size or accuracy; name several  [default: the objective "
    "and the leading metric of each target]",
)  # fmt: skip
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the first two axes into an SVG file.",
)  # fmt: skip
@json_option("Print the fronts as JSON.")
def command(result: Path, objectives: tuple[str, ...], plot: Path | None, as_json: bool) -> int:
    """Show which candidates of a RESULT (result.json, or its folder) nothing beats.

    Exit codes: 0, 1 the result cannot be read, 2 wrong usage.
    """
    fronts = lazy.api.front(result, objectives)
    if plot is not None:
        lazy.api.save_text(lazy.front_plot.front_svg(fronts), plot)
    if as_json:
        print_json(fronts.to_json())
        return 0
    for front in fronts.targets:
        _show(front)
    _show_for_all(fronts)
    if plot is not None:
        lazy.layout.show_line(f"plot: {plot}")
    return 0


def _show(front: TargetFront) -> None:
    covered = ""
    if front.hypervolume is not None:
        covered = f", hypervolume {front.hypervolume:.3f}"
    count = f"{len(front.points)} of {front.compared} on the front{covered}"
    lazy.layout.show_line(f"{front.target}: {count}", "bold")
    names = [axis.removeprefix("ratio.") for axis in front.axes]
    rows = []
    for number, point in enumerate(front.points, 1):
        figures = [lazy.measurement.figure(f.value, f.unit) for f in point.figures.values()]
        said = ", ".join(w for w, yes in (("chosen", point.chosen), ("knee", point.knee)) if yes)
        rows.append((str(number), point.label, *figures, said))
    lazy.layout.show_table(("", "candidate", *names, ""), rows, right=",".join(names))
    for label, why in front.left_out.items():
        lazy.layout.show_line(f"left out: {label}: {why}", "dim")
    lazy.layout.show_line()


def _show_for_all(fronts: Fronts) -> None:
    if not fronts.for_all:
        if len(fronts.targets) > 1:
            lazy.layout.show_line("no artifact holds on every target")
        return
    lazy.layout.show_line("one artifact for all targets, over the best of each", "bold")
    targets = list(fronts.for_all[0].costs)
    rows = [
        (row.label, f"{row.cost:.2f}x", *(f"{row.costs[target]:.2f}x" for target in targets))
        for row in fronts.for_all[:SHARED]
    ]
    headers = ("artifact", "mean", *targets)
    lazy.layout.show_table(headers, rows, right=",".join(headers[1:]))
