"""A comparison for a terminal."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgeopt.report.compared import HEADERS, answered, rows
from edgeopt.schema.base import printable
from edgeopt.schema.comparison import ComparedPair, Comparison

STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}
PLAIN_WIDTH = 110


def draw(comparison: Comparison) -> str:
    """The view as plain text."""
    console = Console(file=io.StringIO(), width=PLAIN_WIDTH, no_color=True, highlight=False)
    _print(comparison, console)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def show(comparison: Comparison, folder: str = "") -> None:
    """Print it; where it lies is in it."""
    del folder
    _print(comparison, Console(highlight=False))


def _print(comparison: Comparison, console: Console) -> None:
    console.print(_text(f"A  {comparison.a}"))
    console.print(_text(f"B  {comparison.b}"))
    if comparison.samples:
        console.print(_text(f"samples: {comparison.samples}", "dim"))
    for pair in comparison.pairs:
        console.print()
        _show_pair(pair, console)
    for note in comparison.notes:
        console.print(_text(f"note: {note}", "dim"))


def _show_pair(pair: ComparedPair, console: Console) -> None:
    console.print(_text(pair.target, "bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in HEADERS:
        table.add_column(header, justify="left" if not header else "right", overflow="fold")
    for row in rows(pair):
        table.add_row(*map(_text, row))
    console.print(table)
    if pair.answers:
        console.print(_text(answered(pair.answers)))
    for verdict in pair.verdicts:
        console.print(_text(f"{verdict.verdict}: {verdict.sentence}", STYLES[verdict.verdict]))
    for note in pair.notes:
        console.print(_text(f"note: {note}", "dim"))


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style)
