"""Pareto fronts as a picture (SVG): one panel a target, its front as steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from edgeopt.report.axis import Axis
from edgeopt.schema.front import FrontPoint, Fronts, TargetFront
from edgeopt.schema.measurement import figure

WIDTH, HEIGHT = 640.0, 360.0
LEFT, RIGHT, TOP, BOTTOM = 84.0, 610.0, 44.0, 300.0
MARGIN = 0.08  # of an axis, beyond the points
STYLE = "font-family='system-ui, sans-serif' font-size='12'"


def front_svg(fronts: Fronts) -> str:
    """The fronts over their first two axes, as an SVG document."""
    panels = [_panel(front, number * HEIGHT) for number, front in enumerate(fronts.targets)]
    size = f"width='{WIDTH:g}' height='{HEIGHT * len(panels):g}'"
    view = f"viewBox='0 0 {WIDTH:g} {HEIGHT * len(panels):g}'"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' {size} {view} {STYLE}>"
    return "\n".join([head, "<rect width='100%' height='100%' fill='white'/>", *panels, "</svg>"])


def _panel(front: TargetFront, down: float) -> str:
    names = front.axes[:2]
    parts = [f"<g transform='translate(0 {down:g})'>", _text(LEFT, 20, front.target, "start")]
    if len(names) < 2 or not front.points:
        parts.append(_text(LEFT, TOP + 20, "nothing to draw", "start"))
        return "\n".join([*parts, "</g>"])
    x = _axis(front.points, names[0], LEFT, RIGHT)
    y = _axis(front.points, names[1], BOTTOM, TOP)
    parts.append(f"<path d='M{LEFT},{TOP} V{BOTTOM} H{RIGHT}' fill='none' stroke='black'/>")
    parts += [_text(place, BOTTOM + 18, text, "middle") for place, text in x.ticks]
    parts += [_text(LEFT - 8, place + 4, text, "end") for place, text in y.ticks]
    parts += [_text((LEFT + RIGHT) / 2, BOTTOM + 40, x.title, "middle")]
    parts += [_text(LEFT, TOP - 8, y.title, "start")]
    places = [
        (x.at(point.figures[names[0]].value), y.at(point.figures[names[1]].value), point)
        for point in front.points
    ]
    parts += _steps([(a, b) for a, b, _ in places])
    for number, (a, b, point) in enumerate(places, 1):
        fill = "#0b6" if point.chosen else "#06c"
        title = f"{point.label}: {_figures(point, names)}"
        parts.append(
            f"<circle cx='{a:g}' cy='{b:g}' r='{7 if point.knee else 5}' fill='{fill}'>"
            f"<title>{escape(title)}</title></circle>"
        )
        parts.append(_text(a + 9, b - 7, str(number), "start"))
    return "\n".join([*parts, "</g>"])


def _axis(points: Sequence[FrontPoint], name: str, start: float, end: float) -> Axis:
    figures = [point.figures[name] for point in points]
    low, high = min(f.value for f in figures), max(f.value for f in figures)
    margin = MARGIN * ((high - low) or abs(high) or 1.0)
    title = f"{name.removeprefix('ratio.')}, x reference" if name.startswith("ratio.") else name
    return Axis(title, figures[0].unit, low - margin, high + margin, start, end)


def _figures(point: FrontPoint, names: Sequence[str]) -> str:
    return ", ".join(figure(point.figures[n].value, point.figures[n].unit) for n in names)


def _steps(places: Sequence[tuple[float, float]]) -> list[str]:
    if len(places) < 2:
        return []
    path = [f"M{places[0][0]:g},{places[0][1]:g}"]
    path += [f"L{x:g},{before:g} L{x:g},{y:g}" for (_, before), (x, y) in pairwise(places)]
    return [f"<path d='{' '.join(path)}' fill='none' stroke='#06c' stroke-dasharray='4 3'/>"]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f"<text x='{x:g}' y='{y:g}' text-anchor='{anchor}'>{escape(text)}</text>"
