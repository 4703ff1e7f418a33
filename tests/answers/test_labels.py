"""Labels find the output that they speak of by name, shape and kind, or ask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.answers.labels import Form, fit, form_of, form_of_tensor, measured_of, placed
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.errors import DataError

N = 12


@pytest.mark.parametrize(
    ("labels", "output", "how"),
    [
        (np.zeros(N, int), np.zeros((N, 4)), "classes"),
        (np.zeros((N, 1), np.uint8), np.zeros((N, 4, 1, 1)), "classes"),
        (np.zeros(N, bool), np.zeros((N, 2)), "classes"),
        (np.zeros(N, int), np.zeros((N, 1)), ""),
        (np.zeros(N, int), np.zeros((N, 4), int), "classes"),
        (np.zeros(N), np.zeros((N, 1)), "values"),
        (np.zeros((N, 3)), np.zeros((N, 3, 1)), "values"),
        (np.zeros((N, 3)), np.zeros((N, 4)), ""),
        (np.zeros((N, 8, 8), int), np.zeros((N, 5, 8, 8)), "places"),
        (np.zeros((N, 8, 8), int), np.zeros((N, 8, 8, 5)), "places"),
        (np.zeros((N, 8, 8), int), np.zeros((N, 8, 8)), "several"),
        (np.zeros((N, 6), bool), np.zeros((N, 6)), "several"),
        (np.zeros((N, 6), int), np.zeros((N, 7)), ""),
    ],
)
def test_how_labels_fit_an_output(labels: np.ndarray, output: np.ndarray, how: str) -> None:
    assert fit(form_of(labels), form_of(output)) == how
    measured = measured_of(form_of(labels), form_of(output))
    assert ("accuracy" in measured) == (how == "classes")
    assert ("mae" in measured) == (how == "values")


def test_free_dimensions_fit_any_size() -> None:
    free = form_of_tensor(Tensor(name="o", dtype="float32", shape=("batch", 5, "h", "w")))
    assert free == Form("f", (5, None, None))
    assert fit(Form("i", (8, 9)), free) == "places"
    codes = Tensor(name="o", dtype="int8", shape=("batch", 10))
    assert fit(Form("i", ()), form_of_tensor(codes)) == "classes"
    ids = Tensor(name="o", dtype="int64", shape=("batch", 10))
    assert fit(Form("f", (10,)), form_of_tensor(ids)) == ""


@given(st.integers(2, 30), st.integers(2, 30))
def test_of_two_outputs_that_with_as_many_scores_as_classes_is_taken(a: int, b: int) -> None:
    outputs = {"a": np.zeros((60, a)), "b": np.zeros((60, b))}
    labels = np.arange(60) % a
    if a == b:
        with pytest.raises(DataError, match="'a' and 'b'"):
            placed(labels, outputs)
    else:
        assert list(placed(labels, outputs)) == ["a"]


def test_the_name_wins_and_a_map_stays_as_it_is() -> None:
    outputs = {"price": np.zeros((N, 1)), "days": np.zeros((N, 1))}
    assert list(placed(np.zeros(N), outputs, "days")) == ["days"]
    with pytest.raises(DataError, match="'price' and 'days'"):
        placed(np.zeros(N), outputs, "y")
    assert list(placed({"days": np.zeros(N)}, outputs)) == ["days"]
    with pytest.raises(DataError, match="no output 'day'") as raised:
        placed({"day": np.zeros(N)}, outputs)
    assert raised.value.hint == "Did you mean 'days'?"
    assert placed(np.zeros((N, 9)), outputs) == {} == placed(None, outputs)
