from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeopt.data.load import load_split, sample_hashes
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.store import Store

SHIPPED = Path(__file__).parents[2] / "models" / "fashion_mnist"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def members() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "train.images": rng.integers(0, 256, (20, 4, 4), dtype=np.uint8),
        "train.label": np.arange(20, dtype=np.uint8) % 3,
        "train.speed": rng.random((20, 2)),
        "test.images": rng.integers(0, 256, (5, 4, 4), dtype=np.uint8),
        "test.label": np.zeros(5, np.uint8),
        "empty.images": np.zeros((0, 4, 4), np.uint8),
        "empty.label": np.zeros(0, np.uint8),
    }


def load(
    tmp_path: Path,
    store: Store,
    members: dict[str, Any],
    select: str = "train",
    inputs: dict[str, str] | None = None,
    labels: tuple[str, ...] = ("label",),
) -> Arrays:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **members)
    params = {"split": "calibration", "select": select, "inputs": inputs, "labels": labels}
    return load_split(params, {"path": str(path)}, store)


def test_the_selected_samples_with_their_labels(
    tmp_path: Path, store: Store, members: dict[str, Any]
) -> None:
    found = load(tmp_path, store, members, "train[2:10:3]", {"image": "images"})
    assert (found.split, found.n, list(found.arrays)) == ("calibration", 3, ["images"])
    images, labels = store.get_array(found.arrays["images"]), found.labels["label"]
    np.testing.assert_array_equal(images, members["train.images"][2:10:3])
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(store.get_array(labels), [2, 2, 2])


def test_without_inputs_all_arrays_but_the_label_are_taken(
    tmp_path: Path, store: Store, members: dict[str, Any]
) -> None:
    assert list(load(tmp_path, store, members).arrays) == ["images", "speed"]
    assert load(tmp_path, store, members, labels=()).labels == {}


def test_one_array_may_feed_two_inputs(
    tmp_path: Path, store: Store, members: dict[str, Any]
) -> None:
    found = load(tmp_path, store, members, inputs={"left": "images", "right": "images"})
    assert list(found.arrays) == ["images"]


def test_hashes_are_those_of_the_raw_bytes_by_array_name(
    tmp_path: Path, store: Store, members: dict[str, Any]
) -> None:
    found = load(tmp_path, store, members, inputs={"a": "speed", "b": "images"})
    hashes = store.get_array(ArrayRef(blob=found.hashes, dtype="uint64", shape=(20,)))
    raw = members["train.images"][7].tobytes() + members["train.speed"][7].tobytes()
    assert int(hashes[7]) == int.from_bytes(hashlib.sha256(raw).digest()[:8], "big")
    assert hashes.dtype == np.dtype(">u8")


def test_hashes_do_not_depend_on_byte_order_or_memory_layout(
    tmp_path: Path, store: Store, members: dict[str, Any]
) -> None:
    plain = load(tmp_path, store, members)
    members["train.speed"] = np.asfortranarray(members["train.speed"]).astype(">f8")
    assert load(tmp_path, store, members).hashes == plain.hashes


def test_a_changed_label_changes_no_digest_of_the_arrays(
    tmp_path: Path, store: Store, members: dict[str, Any]
) -> None:
    plain = load(tmp_path, store, members)
    members["train.label"][3] = 9
    changed = load(tmp_path, store, members)
    assert changed.digest == plain.digest and changed.labels != plain.labels


def test_a_changed_sample_outside_of_the_selection_changes_nothing(
    tmp_path: Path, store: Store, members: dict[str, Any]
) -> None:
    plain = load(tmp_path, store, members, "train[:10]")
    members["train.images"][10:] = 0
    assert load(tmp_path, store, members, "train[:10]") == plain


@pytest.mark.parametrize("select", ["train[20:]", "train[5:5]", "empty"])
def test_an_empty_split_is_refused(
    tmp_path: Path, store: Store, members: dict[str, Any], select: str
) -> None:
    with pytest.raises(DataError, match=r"data\.npz: '.*' selects no sample") as caught:
        load(tmp_path, store, members, select, {"image": "images"})
    assert select in caught.value.what


def test_a_missing_split_is_answered_with_the_nearest(
    tmp_path: Path, store: Store, members: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match="no split 'trian'") as caught:
        load(tmp_path, store, members, "trian")
    assert caught.value.hint == "Did you mean 'train'?"


@pytest.mark.parametrize(("inputs", "labels"), [({"image": "imags"}, ()), (None, ("imags",))])
def test_a_missing_array_is_answered_with_the_nearest(
    tmp_path: Path, store: Store, members: dict[str, Any], inputs: Any, labels: Any
) -> None:
    with pytest.raises(DataError, match="no array 'imags' in split 'train'") as caught:
        load(tmp_path, store, members, inputs=inputs, labels=labels)
    assert caught.value.hint == "Did you mean 'images'?"


def test_a_split_of_labels_alone_is_refused(tmp_path: Path, store: Store) -> None:
    with pytest.raises(DataError, match="no array for an input"):
        load(tmp_path, store, {"train.label": np.zeros(3, int)})


def test_lengths_that_differ_are_told(
    tmp_path: Path, store: Store, members: dict[str, Any]
) -> None:
    members["train.label"] = members["train.label"][:-1]
    with pytest.raises(DataError, match=r"'train\.images' 20, 'train\.label' 19"):
        load(tmp_path, store, members, inputs={"image": "images"})


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "an infinity")])
def test_what_is_not_finite_names_array_and_sample_of_the_file(
    tmp_path: Path, store: Store, members: dict[str, Any], bad: float, word: str
) -> None:
    members["train.speed"][7:9, 1] = bad
    with pytest.raises(DataError) as caught:
        load(tmp_path, store, members, "train[5:]")
    assert f"'train.speed' has {word} in sample 7 (2 such" in caught.value.what
    assert load(tmp_path, store, members, "train[:5]").n == 5


@pytest.mark.parametrize(
    "labels", [np.zeros((20, 3), int), np.zeros(20, bool), np.arange(20) - 1, np.zeros((20, 2, 5))]
)
def test_labels_may_be_any_numbers(
    tmp_path: Path, store: Store, members: dict[str, Any], labels: Any
) -> None:
    members["train.label"] = labels
    found = store.get_array(load(tmp_path, store, members).labels["label"])
    assert found.dtype == labels.dtype and np.array_equal(found, labels)


def test_labels_of_text_are_refused(tmp_path: Path, store: Store, members: dict[str, Any]) -> None:
    members["train.label"] = np.array(["a"] * 20)
    with pytest.raises(DataError, match=r"label array 'train\.label' is text"):
        load(tmp_path, store, members)


def test_text_is_for_slices_alone(tmp_path: Path, store: Store, members: dict[str, Any]) -> None:
    members["train.site"] = np.array(["a", "b"] * 10)
    with pytest.raises(DataError, match=r"array 'train\.site' is text"):
        load(tmp_path, store, members)


def test_nonsense_for_a_selection_is_a_usage_error(
    tmp_path: Path, store: Store, members: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        load(tmp_path, store, members, "train[oops]")


def test_the_shipped_archive_and_its_training_hashes(store: Store) -> None:
    params = {"split": "validation", "select": "validation", "inputs": {"image": "images"}}
    where = {"path": str(SHIPPED / "fashion_mnist.npz")}
    found = load_split({**params, "labels": ["label"]}, where, store)
    assert found.n == 5000
    assert found.arrays["images"].shape == (5000, 28, 28)
    train = load_split(
        {"split": "calibration", "select": "train[:64]", "inputs": {"image": "images"},
         "labels": []},
        where,
        store,
    )  # fmt: skip
    hashes = sample_hashes({"images": store.get_array(train.arrays["images"])})
    assert np.isin(hashes, np.load(SHIPPED / "trained_on.npy", allow_pickle=False)).all()
