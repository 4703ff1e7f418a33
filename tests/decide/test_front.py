from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.decide.front import hypervolume, knee, pareto_front

Point = tuple[float, ...]
COORDINATE = st.integers(-3, 3).map(float) | st.floats(allow_nan=False)
POINTS = st.integers(1, 4).flatmap(
    lambda axes: st.lists(st.tuples(*[COORDINATE] * axes), max_size=20)
)


def beaten(point: Point, points: list[Point]) -> bool:
    """By definition: one is nowhere worse and somewhere better."""
    return any(
        all(a <= b for a, b in zip(other, point, strict=True))
        and any(a < b for a, b in zip(other, point, strict=True))
        for other in points
    )


@given(POINTS)
def test_the_front_is_what_nothing_beats(points: list[Point]) -> None:
    assert pareto_front(points) == [not beaten(point, points) for point in points]


@given(POINTS.filter(bool))
def test_the_best_on_an_axis_is_on_the_front(points: list[Point]) -> None:
    on = [point for point, kept in zip(points, pareto_front(points), strict=True) if kept]
    assert on
    for axis in range(len(points[0])):
        best = min(point[axis] for point in points)
        assert min(point[axis] for point in on) == best


def test_equal_points_stand_together() -> None:
    assert pareto_front([(1, 2), (1, 2), (2, 2)]) == [True, True, False]


def test_no_points_have_no_front() -> None:
    assert pareto_front([]) == []


def test_points_of_other_dimensions_are_refused() -> None:
    with pytest.raises(ValueError):
        pareto_front([(1, 2), (1, 2, 3)])


CORNERS = st.lists(st.tuples(*[st.integers(0, 6).map(float)] * 3), max_size=6)


def by_cells(points: list[Point], worst: Point) -> float:
    """By definition: unit cells that a point is nowhere above, counted one by one."""
    cells = itertools.product(*(range(int(end)) for end in worst))
    return sum(any(all(a <= b for a, b in zip(p, cell, strict=True)) for p in points)
               for cell in cells)  # fmt: skip


@given(CORNERS)
def test_the_hypervolume_is_the_number_of_cells_that_are_beaten(points: list[Point]) -> None:
    worst = (6.0, 5.0, 4.0)
    assert hypervolume(points, worst) == by_cells(points, worst)
    on = [p for p, kept in zip(points, pareto_front(points), strict=True) if kept]
    assert hypervolume(on, worst) == hypervolume(points, worst), "the front covers it all"


@given(st.lists(st.tuples(COORDINATE.filter(math.isfinite)), min_size=1, max_size=5))
def test_on_one_axis_it_is_a_length(points: list[Point]) -> None:
    least = min(p[0] for p in points)
    assert hypervolume(points, (least + 2.0,)) == (least + 2.0) - least


def test_the_knee_is_where_little_is_lost_on_any_axis() -> None:
    assert knee([(0.0, 10.0), (1.0, 1.0), (10.0, 0.0)]) == 1
    assert knee([(0.0, 10.0), (10.0, 0.0)]) is None
    assert knee([(0.0, 5.0), (0.0, 5.0), (0.0, 5.0)]) is None
    assert knee([(0.0, 9.0, 1.0), (5.0, 5.0, 1.0), (9.0, 0.0, 1.0)]) in (0, 1, 2)
