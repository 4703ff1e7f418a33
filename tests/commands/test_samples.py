"""Samples for model files without a recipe: of an archive, or random ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeopt.commands.samples import RANDOM_SAMPLES, samples_for
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.store import Store

X = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def model(*facts: str, **inputs: tuple[str, tuple[int | str, ...]]) -> Description:
    tensors = tuple(Tensor(name=n, dtype=d, shape=("batch", *s)) for n, (d, s) in inputs.items())
    signature = Signature(inputs=tensors, outputs=())
    return Description(format="onnx", signature=signature, facts=frozenset(facts))


ONE = model(x=("float32", (2,)))


def archive(folder: Path, **arrays: Any) -> Path:
    path = folder / "d.npz"
    np.savez(path, **{name.replace("__", "."): array for name, array in arrays.items()})
    return path


@pytest.mark.parametrize(
    ("arrays", "split"),
    [
        ({"x": X, "label": np.arange(6)}, None),
        ({"anything": X, "label": np.arange(6)}, None),
        ({"validation__x": X, "test__x": X + 1}, None),
        ({"test__x": X, "train__x": X + 1}, None),
        ({"own__x": X}, None),
        ({"validation__x": X + 1, "own__x": X}, "own"),
    ],
)
def test_the_arrays_that_are_meant_are_read(
    tmp_path: Path, store: Store, arrays: dict[str, Any], split: str | None
) -> None:
    found = samples_for(ONE, archive(tmp_path, **arrays), store, split)
    assert found.n == 6 and list(found.arrays) == ["x"] and not found.labels
    np.testing.assert_array_equal(store.get_array(found.arrays["x"]), X)


def test_labels_come_along_where_they_are_asked_for(tmp_path: Path, store: Store) -> None:
    path = archive(tmp_path, x=X, mine=np.arange(6))
    found = samples_for(ONE, path, store, labels=["mine"])
    assert store.get_array(found.labels["mine"]).tolist() == list(range(6))
    with pytest.raises(DataError, match="no array 'other' for labels; it has x, mine"):
        samples_for(ONE, path, store, labels=["other"])


@pytest.mark.parametrize(
    ("arrays", "split", "said"),
    [
        ({"one__x": X, "two__x": X}, None, "which split is meant"),
        ({"validation__x": X}, "test", "no split 'test'; it has validation"),
        ({"a": X, "b": X}, None, "no array for the input 'x'"),
        ({"validation__a": X, "validation__b": X}, None, "no array for the input 'x'"),
        ({"x": np.where(X == 5, np.nan, X)}, None, "x"),
        ({"x": X[:0]}, None, "have different numbers of samples: {'x': 0}"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, store: Store, arrays: dict[str, Any], split: str | None, said: str
) -> None:
    path = archive(tmp_path, **arrays)
    with pytest.raises(DataError, match=said) as caught:
        samples_for(ONE, path, store, split)
    assert str(path) in caught.value.where


def test_inputs_of_other_lengths_are_refused(tmp_path: Path, store: Store) -> None:
    two = model(x=("float32", (2,)), z=("float32", (2,)))
    with pytest.raises(DataError, match=r"have different numbers of samples: {'x': 6, 'z': 5}"):
        samples_for(two, archive(tmp_path, x=X, z=X[:5]), store)


def test_random_samples_are_what_the_inputs_take_and_the_same_again(store: Store) -> None:
    asked = model(x=("float32", (3, 2)), ids=("int64", (4,)), mask=("bool", ()))
    found = samples_for(asked, None, store)
    assert found.n == RANDOM_SAMPLES
    arrays = {name: store.get_array(ref) for name, ref in found.arrays.items()}
    assert {n: (str(a.dtype), a.shape[1:]) for n, a in arrays.items()} == {
        "x": ("float32", (3, 2)), "ids": ("int64", (4,)), "mask": ("bool", ()),
    }  # fmt: skip
    assert set(arrays["ids"].ravel()) == {0, 1} and arrays["x"].std() > 0.5
    assert samples_for(asked, None, store) == found


def test_codes_are_made_of_real_values(store: Store) -> None:
    found = samples_for(model("int8", "int8-io", x=("int8", (2,))), None, store)
    assert found.arrays["x"].dtype == "float32"


def test_random_samples_of_a_free_size_are_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="input 'x' has free dimensions") as caught:
        samples_for(model(x=("float32", ("height", 2))), None, store)
    assert "--data FILE.npz" in caught.value.hint


def test_a_single_number_is_the_same_for_all_samples(tmp_path: Path, store: Store) -> None:
    rate = Tensor(name="rate", dtype="float32", shape=())
    inputs = (rate, *ONE.signature.inputs)
    both = Description(format="onnx", signature=Signature(inputs=inputs, outputs=()))
    random = samples_for(both, None, store)
    assert (random.n, random.axes) == (RANDOM_SAMPLES, {"rate": None})
    assert store.get_array(random.arrays["rate"]).tolist() == 1.0
    read = samples_for(both, archive(tmp_path, x=X, rate=np.float32(3)), store)
    assert (read.n, read.axes) == (6, {"rate": None})
