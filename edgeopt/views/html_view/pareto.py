"""The plot of quality against speed: from measurements to places on a sheet of 760 by 430."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

from edgeopt.report.axis import Axis
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import TargetResult
from edgeopt.schema.shown import less_is_better
from edgeopt.views.html_view.rows import Row, name_of

WIDTH, HEIGHT = 760.0, 430.0
LEFT, RIGHT, TOP, BOTTOM = 86.0, 736.0, 22.0, 362.0
FAR = 4.0  # a point this many times beyond the spread of the others is shown at the edge


@dataclass(frozen=True)
class Point:
    """A candidate: its place, the ends of its intervals, where its number stands."""

    row: Row
    x: float
    y: float
    x_ends: tuple[float, float]
    y_ends: tuple[float, float]
    beyond: bool
    label: tuple[float, float] = (0.0, 0.0)

    @property
    def shape(self) -> str:
        """Diamond: the reference; square: not feasible; disc: all else."""
        if self.row.candidate.reference:
            return "diamond"
        refused = self.row.candidate.status in ("infeasible", "inconclusive")
        return "square" if refused else "disc"


@dataclass(frozen=True)
class Line:
    """A bound: horizontal where ``y`` is set, vertical otherwise."""

    text: str
    x: float | None = None
    y: float | None = None


@dataclass(frozen=True)
class Plot:
    """All that the drawing needs."""

    x: Axis
    y: Axis
    points: list[Point]
    front: str
    lines: list[Line]
    better: str  # where the good corner is: "up" or "down"


def plotted(target: TargetResult, rows: list[Row]) -> Plot | None:
    """The plot of a target; None where fewer than two candidates have both figures."""
    x_name = _first(rows, ("ratio.latency.p50", "ratio.instructions", "ratio.size", "size"))
    y_name = _first(rows, (f"difference.{target.metric}", target.metric))
    shown = [
        row
        for row in rows
        if x_name in row.candidate.comparable and y_name in row.candidate.comparable
    ]
    if len(shown) < 2:
        return None
    bounds = _bounds(target, x_name, y_name)
    kept = [row for row in shown if row.candidate.status not in ("infeasible", "failed")]
    x = _axis(_x_title(x_name), shown, kept, x_name, [b for _, n, b in bounds if n == x_name])
    y = _axis(_y_title(y_name), shown, kept, y_name, [b for _, n, b in bounds if n == y_name])
    x = replace(x, start=LEFT, end=RIGHT)
    y = replace(y, start=BOTTOM, end=TOP)
    points = _labelled([_point(row, x, y, x_name, y_name) for row in shown])
    lines = [
        Line(text, x=x.at(b)) if name == x_name else Line(text, y=y.at(b))
        for text, name, b in bounds
        if (x if name == x_name else y).holds(b)
    ]
    leading = shown[0].candidate.comparable[y_name]
    better = "down" if less_is_better(y_name, leading) else "up"
    return Plot(x, y, points, _front(points), lines, better)


def _first(rows: list[Row], names: tuple[str, ...]) -> str:
    known = {name for row in rows for name in row.candidate.comparable}
    return next((name for name in names if name in known), names[-1])


def _x_title(name: str) -> str:
    plain = name_of(name.removeprefix("ratio."))
    return f"{plain}, x reference" if name.startswith("ratio.") else plain


def _y_title(name: str) -> str:
    plain = name_of(name.removeprefix("difference."))
    title = f"{plain}, difference against source" if name.startswith("difference.") else plain
    return f"{title} (validation)"


def _bounds(target: TargetResult, x_name: str, y_name: str) -> list[tuple[str, str, float]]:
    """Constraints that are a line on this plot: text, quantity, bound."""
    lines: dict[tuple[str, str, float], None] = {}
    prefix = {"absolute": "", "difference": "difference.", "ratio": "ratio."}
    for candidate in target.candidates:
        for verdict in candidate.verdicts:
            name = prefix[verdict.basis] + verdict.quantity
            if name in (x_name, y_name):
                lines[verdict.constraint, name, verdict.bound] = None
    return list(lines)


def _axis(title: str, shown: list[Row], kept: list[Row], name: str, bounds: list[float]) -> Axis:
    """A scale over the feasible ones and the bounds, and over the others unless far away."""
    measured = [row.candidate.comparable[name] for row in shown]
    near = [row.candidate.comparable[name] for row in kept] or measured
    ends = [*bounds, *(end for m in near for end in m.interval)]
    low, high = min(ends), max(ends)
    reach = FAR * ((high - low) or abs(high) or 1.0)
    for m in measured:
        if low - reach <= m.interval[0] and m.interval[1] <= high + reach:
            ends += m.interval
    low, high = min(ends), max(ends)
    margin = 0.08 * ((high - low) or abs(high) or 1.0)
    return Axis(title, _unit(name, measured[0]), low - margin, high + margin, 0.0, 1.0)


def _unit(name: str, measurement: Measurement) -> str:
    difference = name.startswith("difference.") and measurement.unit == "fraction"
    return "pt" if difference else measurement.unit


def _point(row: Row, x: Axis, y: Axis, x_name: str, y_name: str) -> Point:
    across, up = (row.candidate.comparable[name] for name in (x_name, y_name))
    return Point(
        row,
        x.at(across.value),
        y.at(up.value),
        (x.at(across.interval[0]), x.at(across.interval[1])),
        (y.at(up.interval[0]), y.at(up.interval[1])),
        beyond=not (x.holds(across.value) and y.holds(up.value)),
    )


def _front(points: list[Point]) -> str:
    """The steps through the points of the front, as an SVG path."""
    on = sorted((p.x, p.y) for p in points if p.row.candidate.on_front)
    if len(on) < 2:
        return ""
    steps = [f"M{on[0][0]},{on[0][1]}"]
    for (_, before), (x, y) in pairwise(on):
        steps.append(f"L{x},{before} L{x},{y}")
    return " ".join(steps)


def _labelled(points: list[Point]) -> list[Point]:
    """Numbers beside their points, each at the first place where it covers nothing."""
    taken = [(p.x, p.y) for p in points]
    labelled = []
    for point in points:
        places = [
            (point.x + reach * math.cos(turn), point.y + reach * math.sin(turn))
            for reach in (19.0, 27.0, 38.0)
            for turn in (math.radians(degrees) for degrees in (-45, 45, -135, 135, -20, 200))
        ]
        inside = [
            (px, py) for px, py in places if LEFT + 6 < px < RIGHT - 4 and TOP + 6 < py < BOTTOM - 6
        ] or places
        best = max(
            inside[:12],
            key=lambda place: min(
                (min(math.dist(place, other), 17.0) for other in taken if other != place),
                default=0.0,
            ),
        )
        taken.append(best)
        labelled.append(replace(point, label=(round(best[0], 2), round(best[1], 2))))
    return labelled
