from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeopt.data.overlap import check_overlap, load_hashes
from edgeopt.schema.errors import DataError
from edgeopt.schema.job import Arrays
from edgeopt.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def split(store: Store, role: str, hashes: list[int]) -> Arrays:
    ref = store.put_array(np.array(hashes, ">u8"))
    return Arrays(split=role, n=len(hashes), arrays={}, hashes=ref.blob)


def test_disjoint_splits_are_told_pair_by_pair(store: Store) -> None:
    splits = {
        "calibration": split(store, "calibration", [1, 2]),
        "validation": split(store, "validation", [3, 4]),
        "test": split(store, "test", [5]),
    }
    found = check_overlap(splits, np.array([1, 2, 9], ">u8"), store)
    assert {(p["split"], p["against"], p["n"]) for p in found["pairs"]} == {
        ("validation", "calibration", 0),
        ("validation", "trained_on", 0),
        ("test", "calibration", 0),
        ("test", "trained_on", 0),
        ("test", "validation", 0),
    }


def test_calibration_may_be_of_the_training_samples(store: Store) -> None:
    splits = {"calibration": split(store, "calibration", [1, 2])}
    assert check_overlap(splits, np.array([1, 2], np.uint64), store) == {"pairs": []}


def test_every_overlapping_pair_is_told_with_count_and_first_sample(store: Store) -> None:
    splits = {
        "calibration": split(store, "calibration", [7, 1]),
        "validation": split(store, "validation", [3, 4, 1, 7]),
        "test": split(store, "test", [9, 4]),
    }
    with pytest.raises(DataError) as caught:
        check_overlap(splits, np.array([9], np.uint64), store)
    told = caught.value.what.split("; ")
    assert told == [
        "split 'validation' shares 2 of its 4 samples with split 'calibration', e.g. sample 2",
        "split 'test' shares 1 of its 2 samples with training, e.g. sample 0",
        "split 'test' shares 1 of its 2 samples with split 'validation', e.g. sample 1",
    ]


def test_training_hashes_of_another_kind_are_refused(store: Store) -> None:
    with pytest.raises(DataError, match=r"trained_on: holds float64"):
        check_overlap({"test": split(store, "test", [1])}, np.array([1.0]), store)


HASHES = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3), min_size=1, max_size=8)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HASHES, HASHES)
def test_overlap_is_that_of_sets(store: Store, held: list[int], trained: list[int]) -> None:
    splits = {"test": split(store, "test", held)}
    shared = [h in set(trained) for h in held]
    hashes = np.array(trained, ">u8")
    if any(shared):
        with pytest.raises(DataError, match=f"shares {sum(shared)} of its {len(held)} "):
            check_overlap(splits, hashes, store)
    else:
        assert check_overlap(splits, hashes, store)["pairs"][0]["n"] == 0


@pytest.mark.parametrize("dtype", [">u8", "<u8"])
def test_hashes_of_either_byte_order_compare_as_numbers(
    tmp_path: Path, store: Store, dtype: str
) -> None:
    np.save(tmp_path / "t.npy", np.array([1, 2**63 + 5], dtype))
    hashes = load_hashes(tmp_path / "t.npy")
    with pytest.raises(DataError, match="with training"):
        check_overlap({"test": split(store, "test", [2**63 + 5])}, hashes, store)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros(3), r"holds float64\[3\]"),
        (np.zeros((3, 2), np.uint64), r"holds uint64\[3, 2\]"),
        (np.zeros(3, np.int64), r"holds int64\[3\]"),
        (np.array([{}], dtype=object), r"not a sound \.npy file"),
    ],
)
def test_a_file_of_other_things_is_refused(tmp_path: Path, array: Any, told: str) -> None:
    np.save(tmp_path / "t.npy", array)
    with pytest.raises(DataError, match=rf"t\.npy: {told}"):
        load_hashes(tmp_path / "t.npy")


def test_missing_truncated_and_zipped_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npy: no such file"):
        load_hashes(tmp_path / "none.npy")
    path = tmp_path / "t.npy"
    np.save(path, np.arange(100, dtype=np.uint64))
    whole = path.read_bytes()
    for end in (0, 5, 60, 128, 500):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"t\.npy: not a sound \.npy file"):
            load_hashes(path)
    np.savez(tmp_path / "t.npz", a=np.zeros(2))
    with pytest.raises(DataError, match=r"t\.npz"):
        load_hashes(tmp_path / "t.npz")


def test_calibration_may_lie_inside_train_and_validation_may_not(store: Store) -> None:
    splits = {
        "train": split(store, "train", [1, 2, 3]),
        "calibration": split(store, "calibration", [1, 2]),
        "validation": split(store, "validation", [4, 5]),
    }
    assert all(pair["n"] == 0 for pair in check_overlap(splits, None, store)["pairs"])
    splits["validation"] = split(store, "validation", [4, 3])
    with pytest.raises(DataError, match="shares 1 of its 2 samples with split 'train'"):
        check_overlap(splits, None, store)
