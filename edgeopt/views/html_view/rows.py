"""Candidates as rows of a table: every figure as text, with its interval."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import compress

from edgeopt.schema.base import counted
from edgeopt.schema.constraint import Verdict
from edgeopt.schema.feeding import spelled
from edgeopt.schema.legend import MEMORY, memory_name, standing
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import find, is_metric, of_output, parts_of, short_of
from edgeopt.schema.result import CandidateResult, SliceFigure, TargetResult
from edgeopt.schema.shown import (
    Split,
    among,
    answers,
    below,
    bounds,
    by_split,
    figure_text,
    how_timed,
    largest_drop,
    reason_beside,
    shown,
    source_by_split,
    tested,
    trials,
    whole,
    worst_group,
)

ORDER = (
    "chosen", "lost", "screened", "reference", "inconclusive", "infeasible", "unmeasured", "failed",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One figure: what it is of, its value, and its interval or comparison below."""

    name: str
    value: str = ""
    detail: tuple[str, ...] = ()
    strong: bool = False


@dataclass(frozen=True)
class Row:
    """One candidate; ``number`` is how plot and tree refer to it."""

    number: int
    candidate: CandidateResult
    runtime: str  # empty where all candidates share one
    cells: list[Cell]
    extra: list[Cell] = field(default_factory=list)
    reasons: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """Its status in words."""
        return standing(self.candidate)


def rows_of(target: TargetResult) -> list[Row]:
    """The chosen first, then by status and ratio."""

    speed = target.speed

    def place(candidate: CandidateResult) -> tuple[int, float]:
        ratio = candidate.comparable.get(f"ratio.{speed}")
        return ORDER.index(candidate.status), ratio.value if ratio else float("inf")

    several = len({candidate.runtime for candidate in target.candidates}) > 1
    ordered = sorted(target.candidates, key=place)
    columns = _filled([_cells(target, candidate) for candidate in ordered])
    return [
        Row(
            number,
            candidate,
            candidate.runtime if several else "",
            cells,
            _extra(target, candidate),
            tuple(filter(None, (reason_beside(target, candidate), *trials(candidate)))),
        )
        for number, (candidate, cells) in enumerate(zip(ordered, columns, strict=True), 1)
    ]


def _filled(rows: list[list[Cell]]) -> list[list[Cell]]:
    """The rows without the columns that hold no figure at all."""
    kept = [any(cell.value for cell in column) for column in zip(*rows, strict=True)]
    return [list(compress(row, kept)) for row in rows]


def tiles(target: TargetResult) -> list[Cell]:
    """The four figures that matter of the chosen one, or of the nearest miss."""
    candidate = shown(target)
    if candidate is None:
        return []
    measured = candidate.measurements
    cells = [_speed(candidate, target.speed)]
    splits = by_split(target, target.metric)
    if splits:
        first, *others = splits
        more = [f"{split.name} {figure_text(split.figure)}" for split in others]
        name = f"{name_of(target.metric)} ({first.name})"
        source = [f"source {text}" for text in source_by_split(target)]
        cells.append(Cell(name, figure_text(first.figure), (*_compared(first), *more, *source)))
    cells += [_tile(measured, "size"), _memory(target, measured)]
    return [tile for tile in cells if tile.value]


def _speed(candidate: CandidateResult, quantity: str) -> Cell:
    """Its speed, and which race that is of."""
    tile, ratio = _tile(candidate.measurements, quantity), f"ratio.{quantity}"
    if ratio not in candidate.measurements:
        return tile
    timed = how_timed(candidate, candidate.measurements[ratio])
    return replace(tile, detail=(*tile.detail, timed)) if timed else tile


def _tile(measured: dict[str, Measurement], quantity: str) -> Cell:
    value, ratio = measured.get(quantity), measured.get(f"ratio.{quantity}")
    if value is None or ratio is None:
        return _cell(measured, quantity)
    name = f"{name_of(quantity)}, x reference"
    return Cell(name, figure_text(ratio), (*below(ratio), figure_text(value)))


def _memory(target: TargetResult, measured: dict[str, Measurement]) -> Cell:
    """Peak memory, and what it is over."""
    name, peak = memory_name(target), measured.get("memory.peak")
    return Cell(name.capitalize(), figure_text(peak), (MEMORY[name],)) if peak else Cell("")


def checks(target: TargetResult) -> list[tuple[str, Verdict]]:
    """Verdicts on the one shown, constraint by constraint, each with the split it is of."""
    return [pair for bound in bounds(target) for pair in bound.verdicts]


@dataclass(frozen=True)
class Groups:
    """A metric by class and slice on one split, and the two that stand out."""

    split: str
    quantity: str
    rows: list[list[Cell]]
    standing_out: list[tuple[str, str]]  # "Largest drop", "Worst class", and the group in words


def groups(target: TargetResult) -> list[Groups]:
    """By split, a metric of the one shown for each class and slice; test first."""
    tables = []
    for split in sorted(target.slices, key=lambda name: name != "test"):
        figures = target.slices[split]
        rows = [
            [
                Cell("Group", each.group),
                Cell("Samples", f"{each.n:,}"),
                Cell("Figure", figure_text(each.figure), below(each.figure)),
                Cell("Against source", figure_text(each.difference), below(each.difference))
                if each.difference
                else Cell("Against source"),
            ]
            for each in figures
        ]
        name = name_of(figures[0].figure.quantity)
        tables.append(Groups(split, name, rows, _standing_out(figures)))
    return tables


def _standing_out(figures: tuple[SliceFigure, ...]) -> list[tuple[str, str]]:
    notable, worst = [], worst_group(figures)
    if any(each.difference for each in figures):
        lost = largest_drop(figures)
        drop = "none: no group lost"
        if lost and lost.difference:
            drop = f"{lost.group}: {whole(lost.difference)} against source{among(figures, lost)}"
        notable.append(("Largest drop", drop))
    kind = "class" if worst.column == "class" else "group"
    return [*notable, (f"Worst {kind}", f"{worst.group}: {whole(worst.figure)}{among(figures)}")]


def feeding(target: TargetResult) -> tuple[list[list[Cell]], list[list[Cell]]]:
    """Rows of the inputs and of the outputs of the one shown."""
    fed = [
        [
            Cell("Input", each.tensor.name),
            Cell("Takes", each.spelled),
            Cell("From", each.raw),
            Cell("By", each.made),
        ]
        for each in target.inputs
    ]
    read = [
        [
            Cell("Output", each.tensor.name),
            Cell("Gives", spelled(each.tensor)),
            Cell("What the values are", each.read),
        ]
        for each in target.outputs
    ]
    return fed, read


def split(target: TargetResult) -> list[list[Cell]]:
    """Where the instructions go: by class, of the one shown and of the reference."""
    sides = target.compared
    return [
        [
            Cell("Class", name),
            *(
                _cell(side.measurements, quantity, "Reference" if side.reference else "Chosen")
                for side in sides
            ),
        ]
        for quantity, name in (parts_of("instructions") | parts_of("bytes")).items()
        if all(quantity in side.measurements for side in sides)
    ]


def stages(target: TargetResult) -> list[list[Cell]]:
    """What each stage did to speed, form by form."""
    return [
        [
            Cell("Stage, or stages together", each.stage),
            Cell("Rest of the chain", target.candidate(each.before).label),
            Cell("Number format", each.form),
            Cell("Time with, x without", figure_text(each.ratio), below(each.ratio), strong=True),
            Cell("Effect", each.word),
        ]
        for each in target.stages
    ]


def _cells(target: TargetResult, candidate: CandidateResult) -> list[Cell]:
    measured, speed = candidate.comparable, target.speed
    placement = ", ".join(
        f"{counted(n, 'node')} on {name}" for name, n in sorted(candidate.placement.items())
    )
    return [
        _quality(target, candidate),
        _cell(measured, f"ratio.{speed}", f"{short_of(speed)}, x reference", strong=True),
        _cell(measured, speed),
        _cell(measured, "size"),
        _cell(measured, "memory.peak", memory_name(target).capitalize()),
        _cell(measured, "load_time"),
        Cell("Placement", placement.replace("ExecutionProvider", "")),
    ]


def _extra(target: TargetResult, candidate: CandidateResult) -> list[Cell]:
    """All that was measured and stands in no column."""
    metric, speed = target.metric, target.speed
    columns = {metric, f"difference.{metric}", f"ratio.{speed}", speed, "size",
               "memory.peak", "load_time"}  # fmt: skip
    sides, cells = [("validation", candidate.comparable)], []
    if candidate.before:
        cells += [
            _cell(candidate.measurements, name, f"{name_against(name)} (raced afresh)")
            for name in sorted(candidate.before)
        ]
    if candidate.id == target.chosen:
        sides.append(("test", {q: m for q, m in tested(target).items() if is_metric(q)}))
    for split, measured in sides:
        for name in sorted(set(measured) - (columns if split == "validation" else set())):
            mark = f" ({split})" if is_metric(name) else ""
            cells.append(_cell(measured, name, f"{name_against(name)}{mark}"))
    if parity := answers(candidate):
        cells.append(Cell("Parity", parity))
    return cells


def name_of(quantity: str) -> str:
    """A quantity as the page names it: ``Accuracy``, ``Cosine of boxes``."""
    (plain, output), declared = of_output(quantity), find(quantity)
    name = (declared.title if declared else "") or plain
    return f"{name} of {output}" if output else name


def name_against(quantity: str) -> str:
    """The same, and what it is against: ``Macro F1 against source``, ``Size, x reference``."""
    kind, _, plain = quantity.partition(".")
    if kind == "difference":
        return f"{name_of(plain)} against source"
    if kind == "ratio":
        return f"{name_of(plain)}, x {'source' if is_metric(plain) else 'reference'}"
    return name_of(quantity)


def _cell(
    measured: dict[str, Measurement], quantity: str, name: str = "", strong: bool = False
) -> Cell:
    measurement = measured.get(quantity)
    title = name or name_of(quantity)
    return (
        Cell(title, figure_text(measurement), below(measurement), strong)
        if measurement
        else Cell(title)
    )


def _quality(target: TargetResult, candidate: CandidateResult) -> Cell:
    """The first metric on the validation split, and what it lost."""
    metric, measured = target.metric, candidate.measurements
    title, figure = f"{name_of(metric)} (validation)", measured.get(metric)
    if figure is None:
        return Cell(title)
    split = Split("validation", figure, measured.get(f"difference.{metric}"))
    return Cell(title, figure_text(figure), _compared(split), strong=True)


def _compared(split: Split) -> tuple[str, ...]:
    if split.difference is None:
        return below(split.figure)
    return (f"{figure_text(split.difference)} against source", *below(split.difference))
