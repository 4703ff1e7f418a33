from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeopt.data.preprocess import parse_step, preprocessed, steps_for
from edgeopt.schema.errors import UsageError


def test_the_documented_formula_in_float32() -> None:
    x = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)
    steps = steps_for([{"scale": 255}, {"normalize": {"mean": 0.286, "std": 0.353}}], "image")
    expected = (x.astype(np.float32) / 255 - np.float32(0.286)) / np.float32(0.353)
    found = preprocessed(x, steps)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32


def test_one_number_a_channel() -> None:
    x = np.ones((2, 3, 3, 3), np.uint8) * np.array([10, 20, 30], np.uint8)
    step = parse_step({"normalize": {"mean": [10, 20, 29], "std": [1, 2, 4]}})
    np.testing.assert_array_equal(preprocessed(x, (step,))[1, 2, 0], [0.0, 0.0, 0.25])


def test_no_step_changes_no_value() -> None:
    x = np.arange(4, dtype=np.int16).reshape(2, 2)
    np.testing.assert_array_equal(preprocessed(x, ()), x)


def test_a_list_is_for_all_inputs_and_a_map_for_those_it_names() -> None:
    assert len(steps_for([{"scale": 2}], "a")) == 1
    assert len(steps_for({"a": [{"scale": 2}]}, "a")) == 1
    assert steps_for({"a": [{"scale": 2}]}, "b") == ()


def test_steps_survive_json() -> None:
    step = parse_step({"normalize": {"mean": 1, "std": [1, 2, 4]}})
    assert type(step).model_validate(step.to_json()) == step


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("scale", "a preprocess step is one key"),
        ({"scale": 1, "normalize": {}}, "a preprocess step is one key"),
        ({"scal": 255}, "unknown preprocess step 'scal'"),
        ({"scale": 0}, "'scale' cannot be 0"),
        ({"scale": float("nan")}, "'scale' cannot be nan"),
        ({"scale": 1e60}, "'scale' cannot be 1e\\+60"),
        ({"scale": 1e-60}, "'scale' cannot be 1e-60"),
        ({"scale": True}, "'scale' must be a number, not True"),
        ({"scale": [255]}, "'scale' must be a number"),
        ({"scale": "255"}, "'scale' must be a number, not '255'"),
        ({"normalize": 3}, "normalize takes 'mean' and 'std'"),
        ({"normalize": {"mean": 0}}, "normalize takes 'mean' and 'std'"),
        ({"normalize": {"mean": 0, "std": 0}}, "'std' cannot be 0"),
        ({"normalize": {"mean": [], "std": 1}}, "'mean' is empty"),
        ({"normalize": {"mean": [1, 2], "std": [1, 2, 3]}}, "2 means and 3 deviations"),
    ],
)
def test_errors_name_the_part_that_is_wrong(raw: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        steps_for([raw], "image", where="recipe.yaml:12")
    assert caught.value.where == "recipe.yaml:12"


@pytest.mark.parametrize("raw", ["scale", 3, None])
def test_steps_are_a_list(raw: Any) -> None:
    with pytest.raises(UsageError, match="must be a list"):
        steps_for(raw, "image")
