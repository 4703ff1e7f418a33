"""Facts, tables and trees on standard output, for commands that have no result to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from edgeopt.schema.base import printable

PLAIN_WIDTH = 110  # columns where no terminal says how many it has
WIDEST = 240  # of a table there
Branches = Mapping[str, "Branches"]


def show_line(text: str = "", style: str = "") -> None:
    """One line, wrapped where the terminal ends."""
    _console().print(Text(printable(text), style))


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Names and values, two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(Text(printable(name)), Text(printable(value)))
    _console().print(grid)


def show_table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: str = "") -> None:
    """A table; ``right`` names, comma-separated, the columns whose figures align right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        is_right = header in right.split(",")
        table.add_column(header, justify="right" if is_right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = _console()
    if not console.is_terminal:  # nothing is folded that fits into a long line
        needed = console.measure(table, options=console.options.update(width=WIDEST)).maximum
        console = Console(highlight=False, width=max(console.width, needed))
    console.print(table)


def show_tree(title: str, branches: Branches) -> None:
    """A tree of texts."""
    tree = Tree(Text(printable(title), "bold"))
    _grow(tree, branches)
    _console().print(tree)


def _grow(tree: Tree, branches: Branches) -> None:
    for text, below in branches.items():
        _grow(tree.add(Text(printable(text))), below)


def _console() -> Console:
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, width=max(console.width, PLAIN_WIDTH))
