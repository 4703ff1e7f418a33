"""Whether samples touch each other along an axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from edgeopt.models.samples import touching


@pytest.mark.parametrize(
    ("axis", "expected"), [(0, True), (1, False)], ids=["time", "samples"]
)  # fmt: skip
def test_a_sum_along_an_axis_makes_it_touch(axis: int, expected: bool) -> None:
    def run(feeds: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": feeds["x"].cumsum(0)[::-1], "z": feeds["x"].sum((0, 2))}

    shape = [4, 4, 2]
    shape[axis] = 3
    assert touching(run, {"x": shape}, {"x": "float32"}, {"x": axis}) is expected


def test_what_follows_no_input_touches_nothing() -> None:
    def run(feeds: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": np.ones(7)}

    assert not touching(run, {"x": [3, 2]}, {"x": "int64"}, {"x": 0})


def test_an_input_without_samples_is_the_same_for_all() -> None:
    def run(feeds: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": feeds["x"] * feeds["gain"]}

    shapes, dtypes = {"x": [3, 2], "gain": [2]}, {"x": "float32", "gain": "float32"}
    assert not touching(run, shapes, dtypes, {"x": 0})


def test_outputs_of_other_sizes_touch() -> None:
    def run(feeds: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": feeds["x"][feeds["x"] > 0]}

    assert touching(run, {"x": [3, 50]}, {"x": "float32"}, {"x": 0})
