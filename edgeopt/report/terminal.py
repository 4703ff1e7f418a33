"""The result for a terminal: what was chosen and why, then every candidate."""

from __future__ import annotations

import io

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgeopt.schema.base import printable
from edgeopt.schema.measurement import Measurement, figure, span
from edgeopt.schema.result import SPLIT, CandidateResult, Result, TargetResult

STYLES = {
    "chosen": "bold green", "lost": "blue", "screened": "dim", "reference": "bold",
    "inconclusive": "yellow", "infeasible": "red", "unmeasured": "dim", "failed": "bold red",
}  # fmt: skip
HEADLINES = {
    "chosen": ("chosen", "bold green"),
    "built": ("built", "bold"),
    "unmet": ("constraints unmet", "bold red"),
    "refused-on-test": ("refused on test", "bold red"),
    "inconclusive": ("inconclusive", "bold yellow"),
    "unreachable": ("unreachable", "bold yellow"),
}
PLAIN_WIDTH = 110  # columns of a text that no terminal shows


def draw(result: Result) -> str:
    """The view as plain text, without colour."""
    console = Console(file=io.StringIO(), width=PLAIN_WIDTH, no_color=True, highlight=False)
    console.print(view(result))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def show(result: Result, folder: str = "") -> None:
    """Print to standard output; ``folder`` is where the result's files lie."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(view(result, folder))
    else:
        console = Console(highlight=False, width=max(console.width, PLAIN_WIDTH))
        console.print(view(result, folder))


def view(result: Result, folder: str = "") -> RenderableType:
    """All targets, then the notes."""
    parts: list[RenderableType] = []
    for target in result.targets:
        parts += [_headline(target, folder), Text()]
        parts += [_table(target), Text()] if target.candidates else []
        if target.speed == "instructions":
            parts += [*_split(target), Text()]
        if target.stages:
            parts += [_stages(target), Text()]
    parts += [_text(f"note: {note}", "dim") for note in result.notes]
    return Group(*parts)


def _headline(target: TargetResult, folder: str) -> RenderableType:
    """What was chosen, where it lies, how fast, how good, how large, and why."""
    word, style = HEADLINES[target.verdict]
    shown = target.chosen or target.nearest_miss
    title = Text.assemble((word, style), " ", (printable(target.target), "bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    if shown is not None:
        candidate = target.candidate(shown)
        measured = candidate.measurements
        role = "artifact" if target.chosen else "nearest miss"
        grid.add_row(role, _text(target.named(candidate)))
        if target.path:
            path = f"{folder.rstrip('/')}/{target.path}" if folder else target.path
            grid.add_row("path", _text(path))
        for label, text in _figures(target.metric, target.speed, measured):
            grid.add_row(label, text)
        if converted := _converted(candidate):
            grid.add_row("converted", _text(converted))
        for split in list(target.slices)[-1:]:
            grid.add_row("worst group", _worst(target, split))
    grid.add_row("why", _text(target.sentence))
    return Group(title, Padding(grid, (0, 0, 0, 2)))


def _figures(metric: str, speed: str, measured: dict[str, Measurement]) -> list[tuple[str, str]]:
    found = []
    own, ratio = measured.get(speed), measured.get(f"ratio.{speed}")
    if own and ratio:
        name = "p50 latency" if speed == "latency.p50" else speed
        found.append((name, f"{_whole(ratio)} the reference; {_whole(own)}"))
    if metric in measured:
        difference = measured.get(f"difference.{metric}")
        against = f"; {_whole(difference)} against source" if difference else ""
        found.append((metric, _whole(measured[metric]) + against))
    if "size" in measured:
        share = measured.get("ratio.size")
        told = f"; {_told(share)} the reference" if share else ""
        found.append(("size", _told(measured["size"]) + told))
    if "memory.peak" in measured:
        found.append(("peak memory", _whole(measured["memory.peak"])))
    return found


def _worst(target: TargetResult, split: str) -> str:
    """The class or slice that lost most against the source, or is worst where none is known."""
    sign = 1.0 if target.metric in ("mse", "mae") else -1.0
    figures = target.slices[split]
    worst = max(figures, key=lambda f: sign * (f.difference or f.figure).value)
    against = f"; {_whole(worst.difference)} against source" if worst.difference else ""
    return f"{worst.column} {worst.value} ({split}): {_whole(worst.figure)}{against}"


def _table(target: TargetResult) -> Table:
    metric, speed = target.metric, target.speed
    short = "p50" if speed == "latency.p50" else speed
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("status", no_wrap=True)
    table.add_column("candidate and reason", overflow="fold", ratio=1)
    for name in (f"{metric.rpartition('.')[2]}", f"{short} / ref", short, "size"):
        table.add_column(name, justify="right", no_wrap=True)
    for candidate in sorted(target.candidates, key=lambda c: _place(c, speed)):
        table.add_row(
            Text(candidate.status, STYLES[candidate.status]),
            _Story(target.named(candidate), candidate.reason, _converted(candidate)),
            _cell(candidate, metric, f"difference.{metric}"),
            _cell(candidate, f"ratio.{speed}"),
            _cell(candidate, speed),
            _cell(candidate, "size"),
        )
    return table


def _split(target: TargetResult) -> list[RenderableType]:
    """Where the instructions go: by class, of the one shown and of the reference."""
    sides = target.compared
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="bold")
    table.add_column("where the instructions go", style="dim")
    for side in sides:
        table.add_column("reference" if side.reference else "chosen", justify="right")
    for quantity, name in SPLIT.items():
        row = [_told(side.measurements[quantity]) for side in sides
               if quantity in side.measurements]  # fmt: skip
        if len(row) == len(sides):
            table.add_row(name, *row)
    return [table] if table.row_count else []


def _stages(target: TargetResult) -> RenderableType:
    """What each stage did to speed: the same chain with it, over without it."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="bold")
    table.add_column("what each stage did to speed", overflow="fold")
    for name in ("form", "x before"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("so it is", style="dim")
    for each in target.stages:
        table.add_row(_text(each.stage), each.form, _whole(each.ratio), each.word)
    return table


class _Story:
    """A candidate's chain and, below it, why it stands where it stands and what it converted."""

    def __init__(self, name: str, *below: str) -> None:
        self._name, self._below = name, [line for line in below if line]

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> list[Text]:
        return [_text(self._name), *(_text(line, "dim") for line in self._below)]


def _converted(candidate: CandidateResult) -> str:
    return candidate.conversion.sentence if candidate.conversion else ""


def _place(candidate: CandidateResult, speed: str) -> tuple[int, float]:
    ratio = candidate.measurements.get(f"ratio.{speed}")
    return list(STYLES).index(candidate.status), ratio.value if ratio else float("inf")


def _cell(candidate: CandidateResult, quantity: str, below: str = "") -> Text:
    """A figure; below it its interval, or another figure."""
    found = candidate.measurements.get(quantity)
    if found is None:
        return Text("-", "dim")
    other = candidate.measurements.get(below)
    second = _told(other) if other else _span(found)
    return Text.assemble(_told(found), ("\n" + second if second else "", "dim"), justify="right")


def _whole(measurement: Measurement) -> str:
    interval = _span(measurement)
    return _told(measurement) + (f" ({interval})" if interval else "")


def _told(measurement: Measurement) -> str:
    unit, digits = _shown(measurement)
    text = figure(measurement.value, unit, digits)
    return f"+{text}" if unit == "pt" and measurement.value > 0 else text


def _span(measurement: Measurement) -> str:
    if measurement.low is None or measurement.high is None:
        return ""
    unit, digits = _shown(measurement)
    return span(measurement.low, measurement.high, unit, digits)


def _shown(measurement: Measurement) -> tuple[str, int]:
    """Unit and significant digits to show a figure with."""
    if measurement.unit != "fraction":
        return measurement.unit, 3
    return ("pt", 3) if measurement.quantity.startswith("difference.") else ("fraction", 4)


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style)
