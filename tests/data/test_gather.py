"""Samples as users yield them, gathered by name, or refused with the item that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edgeopt.data.gather import as_array, blamed, check_counts, joined, named, spread
from edgeopt.schema.errors import DataError

X = np.arange(8.0).reshape(4, 2)
Y = np.arange(4)


def gathered(
    *items: Any, batched: bool = True, inputs: list[str] | None = None, most: int = 99
) -> dict[str, np.ndarray]:
    return joined(((item, batched) for item in items), inputs, "data", lambda _count: None, most)


@pytest.mark.parametrize(
    "items",
    [
        [(X[:3], Y[:3]), (X[3:], Y[3:])],
        [{"x": X[:3], "label": Y[:3]}, {"x": X[3:], "targets": Y[3:]}],
        [({"x": X[:1]}, Y[:1]), [X[1:], Y[1:]]],
    ],
)
def test_batches_of_every_form_come_to_the_same_arrays(items: list[Any]) -> None:
    found = gathered(*items, inputs=["x"])
    assert {name: array.tolist() for name, array in found.items()} == {
        "x": X.tolist(), "label": Y.tolist(),
    }  # fmt: skip


def test_single_samples_are_stacked_and_counted() -> None:
    told: list[int] = []
    items = (((x, y), False) for x, y in zip(X, Y, strict=True))
    found = joined(items, None, "data", told.append, 3)
    assert found["input"].tolist() == X[:3].tolist() and found["label"].tolist() == [0, 1, 2]
    assert told == [1, 2, 3], "no more is read than is wanted"


def test_a_batch_too_long_is_cut() -> None:
    assert len(gathered((X, Y), most=3)["label"]) == 3


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "data: yields no sample"),
        ([{"x": X}, {"x": X, "z": X}], r"batch 1: has \['x', 'z'\], the first one had \['x'\]"),
        ([(X,), (X[:, :1],)], r"batch 1: 'input' is float64\[1\], the first one was float64\[2\]"),
        ([(X,), (X.astype("f4"),)], r"'input' is float32\[2\], the first one was float64\[2\]"),
        ([(np.float64(3.0),)], "'input' is a single number, where a batch was expected"),
    ],
)
def test_items_that_do_not_go_together_are_named(items: list[Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        gathered(*items)
    assert re.search(said, str(caught.value))


def test_what_the_users_code_raises_is_blamed_on_its_item_and_line() -> None:
    def items() -> Iterator[tuple[Any, bool]]:
        yield (X, Y), True
        raise RuntimeError("the disk is gone")

    with pytest.raises(DataError, match="raised RuntimeError: the disk is gone") as caught:
        joined(items(), None, "data", lambda _count: None, 99)
    assert caught.value.where == "data: item 1" and f"({__file__}:" in caught.value.what


@pytest.mark.parametrize(
    ("item", "inputs", "said"),
    [
        ({"x": X}, ["x", "z"], r"no 'z', an input of the model; it has \['x'\]"),
        ((X,), ["x", "z"], "1 parts, the model takes 2: x, z"),
        ((X, X, X, X), ["x", "z"], "4 parts, where x, z and a label were expected"),
        (("text",), None, "'input' is a str, not numbers"),
        (([[1], [1, 2]],), None, "'input' is ragged"),
    ],
)
def test_parts_that_fit_no_input_are_named(item: Any, inputs: list[str] | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        named(item, inputs, "here")


def test_a_label_that_is_an_input_is_no_label() -> None:
    assert set(named({"x": X, "y": Y}, ["x", "y"], "")) == {"x", "y"}
    assert set(named({"x": X, "y": Y}, None, "")) == {"x", "label"}


def test_pairs_of_several_inputs_and_a_label_are_spread() -> None:
    assert spread(({"a": 1}, 2)) == {"a": 1, "label": 2}
    assert spread(({"label": 1}, 2)) == {"label": 1, "labels": 2}
    several = spread(((X, X), Y))
    assert len(several) == 3 and several[2] is Y
    pair = (X, Y)
    assert spread(pair) is pair and spread([1, 2, 3]) == [1, 2, 3]


@pytest.mark.extras
def test_tensors_are_arrays_of_their_values() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([1.5, 2.0], requires_grad=True)
    assert as_array(tensor, "x", "").tolist() == [1.5, 2.0]
    assert as_array(tensor.bfloat16(), "x", "").dtype == np.float32


def test_counts_must_agree_and_not_be_zero() -> None:
    check_counts({"x": X, "label": Y}, "data")
    for wrong in ({"x": X, "label": Y[:3]}, {"x": X[:0]}, {"x": np.array(1.0)}):
        with pytest.raises(DataError, match="have different numbers"):
            check_counts(wrong, "data")


def test_an_error_without_a_trace_has_no_line() -> None:
    assert blamed(ValueError("odd"), "here").what == "raised ValueError: odd"
