"""``edgeopt check``: a result, or a model file, against a saved baseline."""

from __future__ import annotations

from pathlib import Path

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import View, json_option
from edgeopt.cli.model_options import baselines_option
from edgeopt.report import COMPARISONS, draw, show


@click.command("check")
@click.argument("given", metavar="RESULT|FILE", type=click.Path(path_type=Path))
@click.option("--baseline", "name", required=True, help="The baseline's name.")
@baselines_option
@click.option(
    "--require", multiple=True, metavar="BOUND",
    help="A bound, e.g. 'latency.p50 <= 1.03x baseline', 'accuracy >= baseline - 0.5pt'.",
)  # fmt: skip
@click.option("--target", help="The one target that is checked  [default: all of the baseline]")
@click.option(
    "--recipe", type=click.Path(path_type=Path), help="A recipe with the samples to answer."
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Instead of a recipe, an .npz with them."
)
@click.option("--label", metavar="ARRAY", help="Array of --data with the labels.")
@click.option("--quick", is_flag=True, help="Short races only: wider intervals.")
@click.option(
    "--format", "view", type=View(COMPARISONS),
    default="terminal", show_default=True, help="How to show it.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to a file instead of standard output.",
)  # fmt: skip
@click.option(
    "--write", "written", multiple=True, metavar="VIEW:FILE",
    help="Another view of it in a file, such as junit:check.xml.",
)  # fmt: skip
@json_option("The same as --format json.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def command(
    given: Path, name: str, folder: Path, require: tuple[str, ...], target: str | None,
    recipe: Path | None, data: Path | None, label: str | None, quick: bool, view: str,
    out: Path | None, written: tuple[str, ...], as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Compare a RESULT (result.json, or its folder) or a model FILE with a saved baseline.

    Time is raced now, on this machine, where the baseline's model is at hand, each model where it
    was chosen to run; saved times are never compared. Unless a bound is given on it, a target fails
    that is proven to be slower.

    Exit codes: 0 passed, 3 failed, 4 inconclusive or not checked though asked for, 1 error, 2 wrong
    usage.
    """
    further = [_view_and_file(text) for text in written]
    with lazy.listeners.listening(*([] if quiet else [lazy.progress.progress()])) as on_event:
        checked = lazy.baselines.check(
            given, name, folder=folder, require=require, target=target, recipe=recipe, data=data,
            label=label, quick=quick, on_event=on_event,
        )  # fmt: skip
    for each, file in further:
        lazy.api.save_text(draw(checked, each, COMPARISONS), file)
    view = "json" if as_json else view
    if out is not None:
        lazy.api.save_text(draw(checked, view, COMPARISONS), out)
    else:
        show(checked, view, kind=COMPARISONS)
    return checked.exit_code


def _view_and_file(text: str) -> tuple[str, Path]:
    """What ``--write`` says. Raises BadParameter for what is no view and file."""
    view, colon, file = text.partition(":")
    if not (colon and file):
        raise click.BadParameter(f"'{text}' is not VIEW:FILE", param_hint="'--write'")
    return View(COMPARISONS).convert(view, None, None), Path(file)
