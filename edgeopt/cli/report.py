"""``edgeopt report``: draw a result again."""

from __future__ import annotations

from pathlib import Path

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import View
from edgeopt.report import draw, show


@click.command("report")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--format", "view", type=View(), default="terminal",
    show_default=True, help="The view to draw.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="Write the view to a file instead of standard output.",
)  # fmt: skip
def command(result: Path, view: str, out: Path | None) -> int:
    """Draw a RESULT (result.json, or its folder) as a table, a page or its document."""
    loaded = lazy.api.load(result)
    if out is not None:
        lazy.api.save_text(draw(loaded, view), out)
    else:
        show(loaded, view, str(result if result.is_dir() else result.parent))
    return 0
