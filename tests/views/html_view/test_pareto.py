from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import result_sample as sample
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import TargetResult
from edgeopt.views.html_view.pareto import BOTTOM, LEFT, RIGHT, TOP, Axis, Plot, plotted
from edgeopt.views.html_view.rows import rows_of


def plot(target: TargetResult) -> Plot:
    found = plotted(target, rows_of(target))
    assert found is not None
    return found


def measured(target: TargetResult, index: int, **figures: float) -> TargetResult:
    """The target, figures of one candidate changed: ``speed`` and ``quality``."""
    names = {"speed": "ratio.latency.p50", "quality": "difference.accuracy"}
    units = {"speed": "x", "quality": "fraction"}
    candidates = list(target.candidates)
    found = dict(candidates[index].measurements)
    for key, value in figures.items():
        found[names[key]] = Measurement(quantity=names[key], value=value, unit=units[key])
    candidates[index] = candidates[index].model_copy(update={"measurements": found})
    return target.model_copy(update={"candidates": tuple(candidates)})


def test_candidates_with_both_figures_stand_where_they_belong() -> None:
    target = sample.sample_target()
    made = plot(target)
    assert len(made.points) == 7, "neither the unraced nor the failed"
    places = {p.row.candidate.id: (p.x, p.y) for p in made.points}
    fast, slow = places[target.candidates[1].id], places[target.candidates[4].id]
    assert LEFT < fast[0] < slow[0] < RIGHT, "less is to the left"
    assert TOP < slow[1] < fast[1] < BOTTOM, "more is up"
    assert made.better == "up"
    for point in made.points:
        assert point.x_ends[0] <= point.x <= point.x_ends[1]
        assert point.y_ends[1] <= point.y <= point.y_ends[0]


def test_points_are_shaped_by_what_they_are() -> None:
    shapes = {p.row.candidate.status: p.shape for p in plot(sample.sample_target()).points}
    assert shapes["reference"] == "diamond" and shapes["chosen"] == shapes["lost"] == "disc"
    assert shapes["infeasible"] == shapes["inconclusive"] == "square"


def test_the_front_is_a_stair_through_its_points() -> None:
    target = sample.sample_target()
    made = plot(target)
    on = sorted((p.x, p.y) for p in made.points if p.row.candidate.on_front)
    assert made.front == f"M{on[0][0]},{on[0][1]} L{on[1][0]},{on[0][1]} L{on[1][0]},{on[1][1]}"
    alone = [c.model_copy(update={"on_front": c.status == "chosen"}) for c in target.candidates]
    assert plot(target.model_copy(update={"candidates": tuple(alone)})).front == ""


def test_a_bound_is_a_line_where_it_is_on_the_plot() -> None:
    (line,) = plot(sample.sample_target()).lines
    assert line.text == sample.BOUND and line.x is None
    assert line.y is not None and TOP < line.y < BOTTOM


def test_an_infeasible_one_far_off_is_shown_at_the_edge() -> None:
    """Guards against a plot that one broken candidate makes unreadable."""
    target = measured(sample.sample_target(), 5, quality=-0.9)
    points = {p.row.candidate.status: p for p in plot(target).points}
    assert points["infeasible"].beyond and points["infeasible"].y == BOTTOM
    assert not points["chosen"].beyond and not points["inconclusive"].beyond


def test_labels_stay_on_the_sheet_and_off_the_points() -> None:
    points = plot(sample.sample_target()).points
    assert len({point.label for point in points}) == len(points)
    for point in points:
        assert LEFT < point.label[0] < RIGHT and TOP < point.label[1] < BOTTOM
        assert point.label != (point.x, point.y)


def test_fewer_than_two_candidates_make_no_plot() -> None:
    target = sample.sample_target()
    alone = target.model_copy(update={"candidates": target.candidates[1:2]})
    assert plotted(alone, rows_of(alone)) is None
    assert plotted(target, []) is None


@given(st.floats(-100, 100), st.floats(1e-3, 200), st.sampled_from(["pt", "fraction", "x", ""]))
def test_ticks_are_round_few_and_in_order(low: float, width: float, unit: str) -> None:
    axis = Axis("t", unit, low, low + width, 0.0, 1000.0)
    ticks = axis.ticks
    assert 2 <= len(ticks) <= 7
    places = [place for place, _ in ticks]
    assert places == sorted(places) and places[0] >= 0 and places[-1] <= 1000
    steps = [b - a for a, b in pairwise(places)]
    assert max(steps) - min(steps) < 1, "evenly"
    assert len({text for _, text in ticks}) == len(ticks), "no two read alike"


@pytest.mark.parametrize(
    ("unit", "low", "high", "texts"),
    [
        ("pt", -0.01, 0.01, ["-1.0 pt", "-0.5 pt", "0.0 pt", "+0.5 pt", "+1.0 pt"]),
        ("x", 0.0, 1.0, ["0.0x", "0.2x", "0.4x", "0.6x", "0.8x", "1.0x"]),
        ("fraction", 0.9, 0.95, ["90%", "91%", "92%", "93%", "94%", "95%"]),
    ],
)
def test_ticks_are_told_in_their_unit(unit: str, low: float, high: float, texts: Any) -> None:
    assert [text for _, text in Axis("t", unit, low, high, 0.0, 1.0).ticks] == texts
