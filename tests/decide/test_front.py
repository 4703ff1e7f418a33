from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.decide.front import pareto_front

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
