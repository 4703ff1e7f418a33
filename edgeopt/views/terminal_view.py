"""The result for a terminal: what was chosen and why, then every candidate."""

from __future__ import annotations

import io
import sys

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgeopt.schema.base import printable
from edgeopt.schema.feeding import spelled
from edgeopt.schema.legend import (
    MEMORY,
    ONE,
    QUICK,
    STAGE_ROWS,
    UNRACED,
    legend,
    memory_name,
    races,
    standing,
)
from edgeopt.schema.quantities import parts_of, short_of, title_of
from edgeopt.schema.result import CandidateResult, Result, TargetResult
from edgeopt.schema.shown import (
    among,
    answers,
    below,
    bounds,
    by_split,
    figure_text,
    group_split,
    held,
    how_timed,
    largest_drop,
    marks,
    pruned_to,
    reason_beside,
    runners_up,
    samples,
    setting,
    settings,
    shown,
    source_by_split,
    trials,
    whole,
    worst_group,
)

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
    "failed": ("failed", "bold red"),
}
PLAIN_WIDTH = 110  # columns of a text that no terminal shows


def draw(result: Result, folder: str = "", width: int = PLAIN_WIDTH) -> str:
    """The view as plain text, without colour; ``folder`` is where the result's files lie."""
    console = Console(file=io.StringIO(), width=width, no_color=True, highlight=False)
    console.print(view(result, folder))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def show(result: Result, folder: str = "") -> None:
    """Print to standard output."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(view(result, folder))
    else:
        sys.stdout.write(draw(result, folder, max(console.width, PLAIN_WIDTH)))


def view(result: Result, folder: str = "") -> RenderableType:
    """All targets, then the notes."""
    parts: list[RenderableType] = []
    for target in result.targets:
        parts += [_headline(target, folder, result), Text()]
        parts += [_table(target), *_caption(target), Text()] if target.candidates else []
        if target.speed == "instructions":
            parts += [*_split(target), Text()]
        if target.stages:
            parts += [_stages(target), Text()]
    parts += [_text(f"note: {note}", "dim") for note in result.notes]
    return Group(*parts)


def _headline(target: TargetResult, folder: str, result: Result) -> RenderableType:
    """What was chosen, where it lies, how fast, how good, how large, its bounds, and why."""
    word, style = HEADLINES[target.verdict]
    candidate = shown(target)
    taken = printable(f"   {setting(target)}; brackets hold 95% intervals")
    title = Text.assemble((word, style), " ", (printable(target.target), "bold"), (taken, "dim"))
    warning = QUICK if result.quick else UNRACED if result.unraced else ""
    title.append(f"\n{warning}" if warning else "", "yellow")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    if candidate is not None:
        role = "artifact" if target.chosen else "nearest miss"
        grid.add_row(role, _text(target.named(candidate)))
        if target.path:
            path = f"{folder.rstrip('/')}/{target.path}" if folder else target.path
            grid.add_row("path", _text(path))
        counts = samples(result)
        rows = [
            *([("samples", counts)] if counts else []),
            *_source(target),
            *_reference(target, candidate),
        ]
        rows += [*_figures(target, candidate), *_groups(target), *_bounds(target)]
        for label, text in rows:
            grid.add_row(label, _text(text))
        for label, text in _feeding(target):
            grid.add_row(label, _text(text))
        details = [("converted", _converted(candidate)), ("in float", _islands(candidate)),
                   ("pruned to", pruned_to(candidate)),
                   ("run with", settings(target, candidate)), ("parity", answers(candidate)),
                   ("other runtimes", runners_up(target, folder))]  # fmt: skip
        for label, text in details:
            if text:
                grid.add_row(label, _text(text))
    grid.add_row("why", _text(target.sentence))
    return Group(title, Padding(grid, (0, 0, 0, 2)))


def _caption(target: TargetResult) -> list[RenderableType]:
    """What terms and marks of the table mean."""
    lines = [_text(f"{term}: {meaning}", "dim") for term, meaning in legend(target)
             if term not in (memory_name(target), "front")]  # fmt: skip
    columns = (target.metric, f"ratio.{target.speed}", target.speed, "size")
    figures = (c.comparable.get(name) for c in target.candidates for name in columns)
    found = [*filter(None, figures), *(each.ratio for each in target.stages)]
    lines += [_text(text, "dim") for text in marks(found)]
    return [Text(), *lines] if lines else []


def _source(target: TargetResult) -> list[tuple[str, str]]:
    """The model as it was given: what differences are against."""
    parts = source_by_split(target)
    return [("source", f"{target.metric} {'; '.join(parts)}")] if parts else []


def _reference(target: TargetResult, shown: CandidateResult) -> list[tuple[str, str]]:
    """What ratios are against, and how long it takes and how large it is itself."""
    if not target.reference or target.reference == shown.id:
        return []
    reference = target.candidate(target.reference)
    own = [reference.measurements.get(quantity) for quantity in (target.speed, "size")]
    parts = [target.named(reference), *(whole(figure) for figure in own if figure)]
    return [("reference", "; ".join(parts))]


def _figures(target: TargetResult, shown: CandidateResult) -> list[tuple[str, str]]:
    rows, speed, measured = [], target.speed, shown.measurements
    own, ratio = measured.get(speed), measured.get(f"ratio.{speed}")
    if own and ratio:
        rows.append((title_of(speed), f"{whole(ratio)} the reference's; {whole(own)}"))
        if timed := how_timed(shown, ratio):
            rows.append(("timed", timed))
    for split, figure, difference in by_split(target, target.metric):
        against = f"; {whole(difference)} against source" if difference else ""
        rows.append((f"{target.metric} ({split})", whole(figure) + against))
    if "size" in measured:
        share = measured.get("ratio.size")
        against = f"; {figure_text(share)} the reference's" if share else ""
        rows.append(("size", figure_text(measured["size"]) + against))
    if "memory.peak" in measured:
        name = memory_name(target)
        reference = target.candidate(target.reference) if target.reference else None
        other = reference.measurements.get("memory.peak") if reference else None
        beside = f"; the reference's {figure_text(other)}" if other else ""
        rows.append((name, f"{whole(measured['memory.peak'])}, {MEMORY[name]}, {ONE}{beside}"))
    return rows


def _groups(target: TargetResult) -> list[tuple[str, str]]:
    """The group that lost most against the source, and the one whose own figure is worst."""
    split = group_split(target)
    if not split:
        return []
    figures, rows = target.slices[split], []
    quantity = figures[0].figure.quantity
    name = "" if quantity == target.metric else f"{quantity} "
    if any(figure.difference for figure in figures):
        text, lost = "none: no group lost", largest_drop(figures)
        if lost and lost.difference:
            text = (
                f"{lost.group}: {name}{whole(lost.difference)} against source, "
                f"to {figure_text(lost.figure)}{among(figures, lost)}"
            )
        rows.append((f"largest drop ({split})", text))
    worst = worst_group(figures)
    kind = "class" if worst.column == "class" else "group"
    text = f"{worst.group}: {name}{whole(worst.figure)}{among(figures)}"
    return [*rows, (f"worst {kind} ({split})", text)]


def _feeding(target: TargetResult) -> list[tuple[str, str]]:
    """How it is fed from the data's raw values, and what it answers."""
    fed = []
    for each in target.inputs:
        origin = f"from {each.raw}: {each.made}"
        fed.append(("input", f"{each.tensor.name}: {each.spelled}; {origin}"))
    read = [
        ("output", f"{each.tensor.name}: {spelled(each.tensor)}" + (each.read and f", {each.read}"))
        for each in target.outputs
    ]
    return [*fed, *read]


def _bounds(target: TargetResult) -> list[tuple[str, str]]:
    """One line a constraint: its verdict and the figure it was reached on, split by split."""
    rows = []
    for text, verdicts in bounds(target):
        parts = [
            f"{verdict.verdict}, {held(verdict)}{f' on {split}' if split else ''}"
            for split, verdict in verdicts
        ]
        rows.append(("constraint", f"{text}: {'; '.join(parts) or 'not measured'}"))
    return rows


def _table(target: TargetResult) -> Table:
    metric, speed = target.metric, target.speed
    short = short_of(speed)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("status", no_wrap=True)
    table.add_column("candidate and reason", overflow="fold", ratio=1)
    title = short_of(metric)
    measured = any(metric in candidate.measurements for candidate in target.candidates)
    title = f"{title}\n(validation)" if measured else title
    for name in (title, f"{short},\nx reference", short, "size"):
        table.add_column(_text(name, "bold"), justify="right", no_wrap=True)
    for candidate in sorted(target.candidates, key=lambda c: _place(c, speed)):
        below = [reason_beside(target, candidate), *trials(candidate), _converted(candidate)]
        table.add_row(
            _status(candidate),
            _Story(target.named(candidate), *below),
            _quality(target, candidate),
            _cell(candidate, f"ratio.{speed}"),
            _cell(candidate, speed),
            _cell(candidate, "size"),
        )
    return table


def _status(candidate: CandidateResult) -> Text:
    """What became of a candidate and, below it, how it was raced."""
    lines = ["reference"] if candidate.reference and candidate.status != "reference" else []
    below = "".join(f"\n{line}" for line in [*lines, *races(candidate)])
    return Text.assemble((standing(candidate), STYLES[candidate.status]), (below, "dim"))


def _split(target: TargetResult) -> list[RenderableType]:
    """Where the instructions go: by class, of the one shown and of the reference."""
    sides = target.compared
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="bold")
    table.add_column("where the instructions go", style="dim")
    for side in sides:
        table.add_column("reference" if side.reference else "chosen", justify="right")
    for quantity, name in (parts_of("instructions") | parts_of("bytes")).items():
        row = [figure_text(side.measurements[quantity]) for side in sides
               if quantity in side.measurements]  # fmt: skip
        if len(row) == len(sides):
            table.add_row(name, *row)
    return [table] if table.row_count else []


def _stages(target: TargetResult) -> RenderableType:
    """What the stages did to speed: the same chain with them, over without them."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="bold")
    table.add_column(STAGE_ROWS, overflow="fold")
    for name in ("number format", "time with, x without"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("effect", style="dim")
    for each in target.stages:
        table.add_row(_text(each.stage), each.form, whole(each.ratio), each.word)
    return table


class _Story:
    """A candidate's chain and, below it, why it stands where it stands and what it converted."""

    def __init__(self, name: str, *below: str) -> None:
        self._name, self._below = name, [line for line in below if line]

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> list[Text]:
        return [_text(self._name), *(_text(line, "dim") for line in self._below)]


def _converted(candidate: CandidateResult) -> str:
    return candidate.conversion.sentence if candidate.conversion else ""


def _islands(candidate: CandidateResult) -> str:
    return candidate.conversion.islands_sentence if candidate.conversion else ""


def _place(candidate: CandidateResult, speed: str) -> tuple[int, float]:
    ratio = candidate.comparable.get(f"ratio.{speed}")
    return list(STYLES).index(candidate.status), ratio.value if ratio else float("inf")


def _cell(candidate: CandidateResult, quantity: str) -> Text:
    """A figure and, below it, its interval."""
    measurement = candidate.comparable.get(quantity)
    if measurement is None:
        return Text("-", "dim")
    lines = "".join(f"\n{line}" for line in below(measurement))
    return Text.assemble(figure_text(measurement), (lines, "dim"), justify="right")


def _quality(target: TargetResult, candidate: CandidateResult) -> Text:
    """The first metric on the validation split: below it what it lost, or its interval."""
    figure = candidate.measurements.get(target.metric)
    if figure is None:
        return Text("-", "dim")
    difference = candidate.measurements.get(f"difference.{target.metric}")
    lines = (figure_text(difference, short=True),) if difference else below(figure)
    text = "".join(f"\n{line}" for line in lines)
    return Text.assemble(figure_text(figure, short=True), (text, "dim"), justify="right")


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style)
