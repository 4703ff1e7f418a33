from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeopt.answers import outputs as checked
from edgeopt.schema.errors import DataError, ModelError

Array = np.ndarray[Any, Any]
INF, NAN = float("inf"), float("nan")


def rows(*values: float) -> Array:
    return np.array(values, np.float32).reshape(-1, 1)


def test_blocks_cover_every_sample_once() -> None:
    for n, each in ((7, 3), (3, 1 << 22), (5, 1 << 21), (0, 4)):
        array = np.broadcast_to(np.float32(0), (n, each))
        taken = [i for block in checked.blocks(array) for i in range(n)[block]]
        assert taken == list(range(n))
        assert all(array[block].size <= max(1 << 22, each) for block in checked.blocks(array))


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({}, "the model gave no output"),
        ({"a": rows(1, 2), "b": rows(1)}, "without one entry for each sample: {'a': 2, 'b': 1}"),
        ({"a": np.float32(1)}, "without one entry for each sample: {'a': 0}"),
        ({"a": np.zeros((2, 0))}, "output 'a' is float64[2, 0]: not numbers"),
        ({"a": np.array(["x"])}, "output 'a' is <U1[1]: not numbers"),
        ({"a": rows(1, 2, 3), "b": rows(1, NAN, NAN)}, "output 'b' is NaN for sample 1"),
    ],
)
def test_what_a_model_may_not_give_is_named(outputs: dict[str, Array], said: str) -> None:
    with pytest.raises(ModelError) as caught:
        checked.check_outputs(outputs)
    assert said in caught.value.what


def test_infinities_and_whole_numbers_pass() -> None:
    assert checked.check_outputs({"a": rows(1, -INF), "b": np.array([True, False])}) == 2


def test_what_is_made_of_an_array_is_kept_for_as_long_as_it_lives() -> None:
    asked: list[int] = []

    @checked.kept
    def total(array: Array) -> float:
        asked.append(len(array))
        return float(array.sum())

    first = rows(1, 2)
    assert total(first) == total(first) == 3 and asked == [2]
    assert total(first.copy()) == 3 and asked == [2, 2], "another array of equal numbers"
    for size in range(3, 60):
        array = np.ones(size)
        assert total(array) == size, "never the figure of an array that was there before"
        del array


def test_shared_infinities_become_zero() -> None:
    mine, theirs = checked.without_shared_infinities(rows(1, INF, -INF), rows(2, INF, -INF))
    assert mine.ravel().tolist() == [1, 0, 0] and theirs.ravel().tolist() == [2, 0, 0]
    plain = rows(1, 2)
    assert checked.without_shared_infinities(plain, plain) == (plain, plain)


@pytest.mark.parametrize(("mine", "theirs"), [(INF, 1.0), (1.0, INF), (INF, -INF), (-INF, -9e3)])
def test_an_infinity_of_one_side_alone_names_output_and_sample(mine: float, theirs: float) -> None:
    with pytest.raises(ModelError, match="output 'o' is infinite at sample 1 where") as caught:
        checked.without_shared_infinities(rows(0, mine), rows(0, theirs), "o")
    assert "overflowed" in caught.value.hint


@pytest.mark.parametrize("pair", [(-INF, -1e9), (-1e9, -INF), (-65504.0, -INF)])
def test_a_mask_by_another_number_is_the_source_s(pair: tuple[float, float]) -> None:
    mine, theirs = rows(1, 2, pair[0]), rows(1, 3, pair[1])
    made = checked.with_equal_masks(mine, theirs).ravel().tolist()
    assert made == [1, 2, pair[1]]


def test_a_number_that_is_no_hundred_times_larger_masks_nothing() -> None:
    mine, theirs = rows(1, -2e4, -1e9), rows(1, -2e4, -INF)
    assert checked.with_equal_masks(mine, theirs)[2, 0] == -INF
    near = rows(1, -2e7, -1e9)
    assert checked.with_equal_masks(near, rows(1, -2e7, -INF))[2, 0] == np.float32(-1e9)
    ints = np.array([[1], [-(10**6)]])
    assert checked.with_equal_masks(ints, rows(1, -INF)) is ints


def test_scores_of_classes_have_one_axis_for_them() -> None:
    assert checked.class_scores("o", np.zeros((3, 5, 1, 1))).shape == (3, 5)
    for shape in ((3,), (3, 1), (3, 5, 2)):
        with pytest.raises(
            ModelError, match=r"output 'o' .* has no score for each class"
        ) as caught:
            checked.class_scores("o", np.zeros(shape))
        assert "fidelity" in caught.value.hint


def test_labels_are_one_whole_number_a_sample() -> None:
    scores = np.zeros((3, 4))
    found = checked.check_labels(np.array([[0], [3], [1]], np.uint8), scores, "o")
    assert found.tolist() == [0, 3, 1] and found.dtype == np.int64
    for wrong in (np.zeros(2, int), np.zeros(3), np.zeros((3, 2), int)):
        with pytest.raises(DataError, match="one whole number each is needed"):
            checked.check_labels(wrong, scores, "o")


def test_a_label_out_of_range_is_named_with_how_many_there_are() -> None:
    with pytest.raises(DataError, match="label 4 of sample 1 is out of range") as caught:
        checked.check_range(np.array([0, 4, -1]), 4, "o", where="d.npz")
    assert "'o' has 4 classes (2 such samples in all)" in caught.value.what
    assert (caught.value.where, caught.value.hint) == ("d.npz", "labels count from 0")
    checked.check_range(np.array([0, 3]), 4, "o")


def test_outputs_are_matched_by_name_or_else_by_place() -> None:
    a, b = rows(1, 2), rows(3, 4)
    assert list(checked.aligned({"y": b, "x": a}, {"x": a, "y": b})) == ["y", "x"]
    placed = checked.aligned({"p": a, "q": b}, {"x": a, "y": b})
    assert list(placed) == ["x", "y"] and placed["y"] is b


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        ({"x": rows(1, 2)}, "1 outputs against 2 of the source"),
        ({"p": rows(1, 2), "q": np.zeros((2, 3))},
         "output 'q' is [2, 3], 'y' of the source is [2, 1]"),
        ({"x": rows(1, 2), "y": rows(1, INF)}, "output 'y' is infinite at sample 1"),
        ({"x": rows(1, NAN), "y": rows(1, 2)}, "output 'x' is NaN for sample 1"),
    ],
)  # fmt: skip
def test_outputs_that_do_not_match_are_named(mine: dict[str, Array], said: str) -> None:
    with pytest.raises(ModelError) as caught:
        checked.aligned(mine, {"x": rows(1, 2), "y": rows(3, 4)})
    assert said in caught.value.what
