"""Samples of every form are read alike, or refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from live_parts import images
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from edgeopt.live import samples
from edgeopt.schema.errors import DataError

NAMES = ["image"]


def read(data: Any, names: list[str] = NAMES) -> dict[str, dict[str, np.ndarray]]:
    return samples.read(data, names, lambda _count: None)


class Endless(IterableDataset[Any]):
    """Samples without an end."""

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield np.zeros((3, 8, 8), np.float32), 1


X, Y = images(40)


FORMS: dict[str, Any] = {
    "loader": DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), batch_size=7),
    "loader with workers": DataLoader(
        TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
        batch_size=7,
        num_workers=1,
        persistent_workers=True,
    ),
    "dataset": TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
    "arrays": (X, Y),
    "inputs by name and labels": ({"image": X}, Y),
    "a tuple of inputs and labels": ((torch.from_numpy(X),), Y),
    "batches of inputs by name": DataLoader(
        [({"image": x}, y) for x, y in zip(X, Y, strict=True)], batch_size=7
    ),
    "tensors by name": {"image": torch.from_numpy(X), "label": torch.from_numpy(Y)},
    "callable": lambda: (X, Y),
    "batches by name": [{"image": X[i : i + 8], "target": Y[i : i + 8]} for i in range(0, 40, 8)],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_samples(form: str) -> None:
    data = FORMS[form]
    if form == "batches by name":
        data = iter(data)
    found = read(data)
    assert {split: sorted(arrays) for split, arrays in found.items()} == {
        "calibration": ["image", "label"],
        "validation": ["image", "label"],
    }
    for name, whole in (("image", X), ("label", Y)):
        parts = [found[split][name] for split in ("calibration", "validation")]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_splits_may_be_named_and_labels_left_out() -> None:
    found = read({"calibration": X[:4], "validation": lambda: X[4:20], "test": (X[20:],)})
    assert {split: len(arrays["image"]) for split, arrays in found.items()} == {
        "calibration": 4,
        "validation": 16,
        "test": 20,
    }
    with pytest.raises(DataError, match="no validation split"):
        read({"test": X})
    with pytest.raises(DataError, match="'train' is not a split that is read here"):
        read({"train": X[:4], "validation": X[4:]})


def test_an_endless_source_is_read_up_to_a_bound() -> None:
    found = read(Endless())
    assert sum(len(a["image"]) for a in found.values()) == samples.MOST_SAMPLES


def raising() -> Iterator[Any]:
    yield X[:4], Y[:4]
    raise RuntimeError("the disk is gone")


def refused() -> Any:
    raise KeyError("no such table")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (raising(), r"item 1: raised RuntimeError: the disk is gone \(.*test_samples.py:\d+\)"),
        (refused, r"the callable: raised KeyError: 'no such table'"),
        (iter([(X[:4], Y[:4]), (X[:4, :, :4], Y[:4])]), r"batch 1: 'image' is float32\[3, 4, 8\]"),
        ([(X[0], 1), (X[1][:, :5], 0)], r"sample 1: 'image' is float32\[3, 5, 8\]"),
        (iter([(X[:4],), (X[:4], Y[:4])]), r"batch 1: has \['image', 'label'\]"),
        (iter([]), "yields no sample"),
        (iter([(X[0], Y[0])]), "batch 0: 'label' is a single number, where a batch was expected"),
        ((X, X, Y), "3 parts, where image and a label were expected"),
        (iter([["a", "b"]]), "not numbers"),
        (iter([{"picture": X[:3]}]), "no 'image', an input of the model"),
        ((X, Y[:3]), "have different numbers"),
        ((X[:2], Y[:2]), "too few"),
        (3, "cannot read samples of a int"),
    ],
)
def test_data_that_cannot_be_used_is_named(data: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read(data)
    assert re.search(said, str(caught.value)), str(caught.value)
