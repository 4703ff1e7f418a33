"""Candidates as rows of a table: every figure as text, with its interval."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edgeopt.schema.constraint import Verdict
from edgeopt.schema.measurement import Measurement, figure, span
from edgeopt.schema.result import SPLIT, CandidateResult, Result, TargetResult

ORDER = (
    "chosen", "lost", "screened", "reference", "inconclusive", "infeasible", "unmeasured", "failed",
)  # fmt: skip
SHORT = {"latency.p50": "p50", "instructions": "instructions"}  # before ", x reference"
NAMES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "mse": "Mean squared error",
    "mae": "Mean absolute error",
    "fidelity.agreement": "Agreement",
    "fidelity.cosine": "Cosine",
    "fidelity.sqnr": "SQNR",
    "latency.p50": "p50 latency",
    "latency.p90": "p90 latency",
    "latency.p99": "p99 latency",
    "size": "Size",
    "memory.peak": "Peak memory",
    "load_time": "Load time",
    "instructions": "Instructions",
}


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


def rows_of(target: TargetResult) -> list[Row]:
    """The chosen first, then by status and ratio."""

    speed = target.speed

    def place(candidate: CandidateResult) -> tuple[int, float]:
        ratio = candidate.measurements.get(f"ratio.{speed}")
        return ORDER.index(candidate.status), ratio.value if ratio else float("inf")

    several = len({candidate.runtime for candidate in target.candidates}) > 1
    return [
        Row(
            number,
            candidate,
            candidate.runtime if several else "",
            _cells(target.metric, speed, candidate),
            _extra(target.metric, speed, candidate),
        )
        for number, candidate in enumerate(sorted(target.candidates, key=place), 1)
    ]


def tiles(target: TargetResult) -> list[Cell]:
    """The four figures that matter of the chosen one, or of the nearest miss."""
    shown = target.chosen or target.nearest_miss
    if shown is None:
        return []
    measured = target.candidate(shown).measurements
    found = []
    for quantity in (target.speed, target.metric, "size", "memory.peak"):
        value, ratio = measured.get(quantity), measured.get(f"ratio.{quantity}")
        if value is None:
            continue
        name = NAMES.get(quantity, quantity)
        if ratio is not None:
            found.append(
                Cell(f"{name}, x reference", _told(ratio), (*_interval(ratio), _told(value)))
            )
        else:
            found.append(Cell(name, _told(value), _compared(measured, quantity)))
    return found


def checks(target: TargetResult) -> list[tuple[str, list[Verdict]]]:
    """Verdicts on the one shown, split by split."""
    shown = target.chosen or target.nearest_miss
    if shown is None:
        return []
    tested = [Verdict.model_validate(raw) for raw in target.test.get("verdicts", [])]
    found = [("validation", list(target.candidate(shown).verdicts)), ("test", tested)]
    return [(split, verdicts) for split, verdicts in found if verdicts]


def groups(target: TargetResult) -> list[tuple[str, list[list[Cell]]]]:
    """By split, the first metric of the one shown for each class and slice."""
    found = []
    for split, figures in target.slices.items():
        rows = [
            [
                Cell("Group", f"{each.column} {each.value}"),
                Cell("Samples", f"{each.n:,}"),
                Cell("Figure", _told(each.figure), _interval(each.figure)),
                Cell("To source", _told(each.difference), _interval(each.difference))
                if each.difference
                else Cell("To source"),
            ]
            for each in figures
        ]
        found.append((split, rows))
    return found


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
        for quantity, name in SPLIT.items()
        if all(quantity in side.measurements for side in sides)
    ]


def stages(target: TargetResult) -> list[list[Cell]]:
    """What each stage did to speed, form by form."""
    return [
        [
            Cell("Stage", each.stage),
            Cell("Chain beside it", target.candidate(each.before).label),
            Cell("Form", each.form),
            Cell("With it, x without", _told(each.ratio), _interval(each.ratio), strong=True),
            Cell("So it is", each.word),
        ]
        for each in target.stages
    ]


def searched(result: Result) -> list[list[Cell]]:
    """What a search tried, the widest first."""
    points = sorted(result.search, key=lambda p: (p.target, -p.fraction))
    return [
        [
            Cell("Target", p.target),
            Cell("MACs kept", f"{p.fraction:.3g}"),
            Cell("x reference", "" if p.ratio is None else figure(p.ratio, "x"), strong=True),
            Cell("Margin to the constraints", "" if p.margin is None else f"{p.margin:+.2%}",
                 strong=True),
            Cell("So it is", p.word),
        ]
        for p in points
    ]  # fmt: skip


def pruned(result: Result) -> list[tuple[str, list[list[Cell]]]]:
    """By pass, what it left of each layer, or why it left the layer alone."""
    records = {
        step.job: step
        for target in result.targets
        for candidate in target.candidates
        for step in candidate.chain
        if step.found.get("layers")
    }
    return [
        (
            step.label,
            [
                [
                    Cell("Layer", each["path"]),
                    Cell("Kind", each["kind"]),
                    Cell("Kept", _kept(each), strong=True),
                    Cell("Goes with", each["group"] if each["group"] != each["path"] else ""),
                    Cell("Left alone because", each["reason"]),
                ]
                for each in step.found["layers"]
            ],
        )
        for step in records.values()
    ]


def _kept(layer: dict[str, Any]) -> str:
    return f"{layer['kept']} of {layer['units']} {layer['unit']}s" if layer["units"] else ""


def _cells(metric: str, speed: str, candidate: CandidateResult) -> list[Cell]:
    measured = candidate.measurements
    placement = ", ".join(f"{name} {n}" for name, n in sorted(candidate.placement.items()))
    return [
        Cell(NAMES.get(metric, metric), *_pair(measured, metric), strong=True),
        _cell(measured, f"ratio.{speed}", f"{SHORT[speed]}, x reference", strong=True),
        _cell(measured, speed),
        _cell(measured, "size"),
        _cell(measured, "memory.peak"),
        _cell(measured, "load_time"),
        Cell("Placement", placement.replace("ExecutionProvider", "")),
    ]


def _extra(metric: str, speed: str, candidate: CandidateResult) -> list[Cell]:
    """All that was measured and stands in no column."""
    shown = {metric, f"difference.{metric}", f"ratio.{speed}", speed, "size",
             "memory.peak", "load_time"}  # fmt: skip
    measured = candidate.measurements
    return [_cell(measured, name, name) for name in sorted(measured) if name not in shown]


def _cell(
    measured: dict[str, Measurement], quantity: str, name: str = "", strong: bool = False
) -> Cell:
    found = measured.get(quantity)
    title = name or NAMES.get(quantity, quantity)
    return Cell(title, _told(found), _interval(found), strong) if found else Cell(title)


def _pair(measured: dict[str, Measurement], metric: str) -> tuple[str, tuple[str, ...]]:
    """A metric and below it the paired difference to the source, or its own interval."""
    found = measured.get(metric)
    return (_told(found), _compared(measured, metric)) if found else ("", ())


def _compared(measured: dict[str, Measurement], metric: str) -> tuple[str, ...]:
    difference = measured.get(f"difference.{metric}")
    if difference is None:
        return _interval(measured[metric])
    return (f"{_told(difference)} to source", *_interval(difference))


def _unit(measurement: Measurement) -> str:
    difference = measurement.quantity.startswith("difference.")
    return "pt" if difference and measurement.unit == "fraction" else measurement.unit


def _told(measurement: Measurement) -> str:
    unit = _unit(measurement)
    text = figure(measurement.value, unit, 4 if unit == "fraction" else 3)
    return f"+{text}" if unit == "pt" and measurement.value > 0 else text


def _interval(measurement: Measurement) -> tuple[str, ...]:
    """The 95% interval; nothing where the figure is exact."""
    if measurement.low is None or measurement.high is None:
        return ()
    unit = _unit(measurement)
    return (span(measurement.low, measurement.high, unit, 4 if unit == "fraction" else 3),)
