"""``edgeopt compare``: two models, or two results, side by side."""

from __future__ import annotations

from pathlib import Path

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import View, json_option
from edgeopt.report import COMPARISONS, draw, show


@click.command("compare")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--target", "targets", multiple=True, default=("local/*",), show_default=True,
    help="Where to race models.",
)  # fmt: skip
@click.option(
    "--require", multiple=True, metavar="BOUND",
    help="A bound that B must satisfy, e.g. 'latency.p50 <= 1.05x source'; 'source' is A.",
)  # fmt: skip
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    help="A recipe with the samples to run both models on.",
)
@click.option(
    "--split",
    help="The split to use, of the recipe or of --data  [default: validation, if there is one]",
)
@click.option(
    "--data", type=click.Path(path_type=Path),
    help="Instead of a recipe, an .npz with an array for each input, named ARRAY or SPLIT.ARRAY.",
)  # fmt: skip
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="[OUTPUT=]ARRAY",
    help="An array of labels in --data; with several outputs, OUTPUT=ARRAY for each.",
)
@click.option("--quick", is_flag=True, help="Short races only: wider intervals.")
@click.option(
    "--rerace", is_flag=True, help="Race the files that the two results chose again, now."
)
@click.option(
    "--format", "view", type=View(COMPARISONS),
    default="terminal", show_default=True, help="How to show the comparison.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="Write the comparison to a file instead of standard output.",
)  # fmt: skip
@json_option("The same as --format json.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def command(
    a: Path, b: Path, targets: tuple[str, ...], require: tuple[str, ...], recipe: Path | None,
    split: str | None, data: Path | None, labels: tuple[str, ...], quick: bool, rerace: bool,
    view: str, out: Path | None, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Compare B with the baseline A: model files, or results (result.json, or its folder).

    Models are raced directly and, if there are samples, run on the same ones, so ratios and
    differences are paired. Metrics of two results are paired if the store still has the outputs
    of both; times never are.

    Exit codes: 0 all required bounds pass (or none was given), 3 one fails, 4 one is inconclusive
    or a target is decided in A alone, 1 error, 2 wrong usage.
    """

    with lazy.listeners.listening(*([] if quiet else [lazy.progress.progress()])) as on_event:
        comparison = lazy.api.compare(
            a, b, targets=targets, require=require, recipe=recipe, split=split, data=data,
            label=_labels_of(labels), quick=quick, rerace=rerace, on_event=on_event,
        )  # fmt: skip
    view = "json" if as_json else view
    if out is not None:
        lazy.api.save_text(draw(comparison, view, COMPARISONS), out)
    else:
        show(comparison, view, kind=COMPARISONS)
    return comparison.exit_code


def _labels_of(given: tuple[str, ...]) -> str | dict[str, str] | None:
    """What ``--label`` says. Raises BadParameter where outputs and a lone array are mixed."""
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    pairs = [text.rpartition("=") for text in given]
    if not all(output and array for output, _, array in pairs):
        raise click.BadParameter(
            "several arrays of labels are OUTPUT=ARRAY each", param_hint="'--label'"
        )
    return {output: array for output, _, array in pairs}
