from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeopt.data.sources.npz import Npz, members_digest
from edgeopt.schema.errors import DataError


def npy(array: np.ndarray[Any, Any]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array)
    return out.getvalue()


def header(claim: str) -> bytes:
    """A version 1.0 header with any text in it."""
    text = claim.encode().ljust(118 - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, raw in members.items():
            out.writestr(f"{name}.npy", raw)
    return path


ARRAYS = hnp.arrays(
    dtype=hnp.integer_dtypes(endianness="?") | hnp.floating_dtypes(sizes=(16, 32, 64)),
    shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4),
)


@settings(max_examples=50)
@given(ARRAYS, st.booleans())
def test_what_numpy_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray[Any, Any], fortran: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.npz"
    np.savez_compressed(path, a=np.asfortranarray(array) if fortran else array)
    with Npz(path) as source:
        found = source.read("a")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.flags.c_contiguous


def test_names_are_those_of_the_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{"train.images": np.zeros(2), "train.label": np.zeros(2)})
    with Npz(path) as source:
        assert source.names == ("train.images", "train.label")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npz: no such file"):
        Npz(tmp_path / "none.npz")


@pytest.mark.parametrize("raw", [b"", b"PK", b"no zip at all" * 99, b"\x93NUMPY\x01\x00v\x00{"])
def test_a_file_that_is_no_archive_is_named(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"bad\.npz: not a sound \.npz archive"):
        Npz(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        Npz(tmp_path)


def test_a_truncated_archive_is_named_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.npz", a=npy(np.arange(1000.0))).read_bytes()
    path = tmp_path / "cut.npz"
    for end in range(0, len(whole), 97):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"cut\.npz"), Npz(path) as source:
            source.read("a")


def test_a_flipped_byte_names_file_and_array(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", images=npy(np.random.default_rng(0).random(1000)))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    with (
        Npz(path) as source,
        pytest.raises(DataError, match=r"a\.npz: array 'images' is truncated"),
    ):
        source.read("images")


@settings(max_examples=500)
@given(st.data())
def test_damage_anywhere_is_a_data_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, a=np.arange(60, dtype=np.int16))
    raw = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(raw)
    with contextlib.suppress(DataError), Npz(path) as source:
        for name in source.names:
            source.read(name)


def test_a_missing_array_is_answered_with_the_nearest(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", images=npy(np.zeros(2)))
    with Npz(path) as source, pytest.raises(DataError, match="Did you mean 'images'"):
        source.read("imags")


def test_pickles_are_never_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", a=npy(np.array([{"a": 1}, print], dtype=object)))
    with Npz(path) as source, pytest.raises(DataError, match="'a' has dtype object"):
        source.read("a")


@pytest.mark.parametrize("array", [np.array([b"a"]), np.zeros(2, "f4,f4"), np.zeros(2, complex)])
def test_what_is_not_of_numbers_is_refused(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    path = archive(tmp_path / "a.npz", a=npy(array))
    with Npz(path) as source, pytest.raises(DataError, match="is not numeric"):
        source.read("a")


def test_a_single_number_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", a=npy(np.array(3.0)))
    with Npz(path) as source, pytest.raises(DataError, match="first axis must be the sample"):
        source.read("a")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "bomb.npz", a=npy(np.zeros(1 << 20)))
    assert path.stat().st_size < 20_000
    told = r"'a' claims 8,388,736 bytes .* at most 1,048,576"
    with Npz(path, limit_bytes=1 << 20) as source, pytest.raises(DataError, match=told):
        source.read("a")


@pytest.mark.parametrize(
    "claim",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999, 999999)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-2, -1)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f8', 'shape': (2,)}",
        "[" * 100,
        "__import__('os').abort()",
    ],
)
def test_a_header_is_not_believed(tmp_path: Path, claim: str) -> None:
    path = archive(tmp_path / "a.npz", a=header(claim) + bytes(16))
    with Npz(path) as source, pytest.raises(DataError, match="array 'a' is truncated or damaged"):
        source.read("a")


def test_an_archive_of_a_future_zip_version_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", a=npy(np.zeros(2)))
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 6] = 99
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"not a sound \.npz archive"):
        Npz(path)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", a=npy(np.zeros(2)))
    raw = bytearray(path.read_bytes())
    raw[6] |= 1  # the flag in the local header
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(raw)
    with Npz(path) as source, pytest.raises(DataError, match="array 'a' cannot be read"):
        source.read("a")


def test_a_split_is_digested_apart_from_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    arrays = {"train.x": np.arange(6.0), "test.x": np.arange(3.0)}
    np.savez(path, **arrays)
    before = {split: members_digest(path, split) for split in ("train", "test")}
    np.savez(path, **{**arrays, "test.x": np.arange(3.0) + 1})
    assert members_digest(path, "train") == before["train"]
    assert members_digest(path, "test") != before["test"]
    path.write_bytes(path.read_bytes()[:-30])
    assert members_digest(path, "train") not in before.values()
