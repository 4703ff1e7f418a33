"""Blobs: bytes under their digest, or an error that names it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.schema.errors import StoreError
from edgeopt.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def corrupt(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


@given(data=st.binary(max_size=4096))
def test_bytes_round_trip_under_their_sha256(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, Store(folder) as store:
        digest = store.put_bytes(data)
        assert digest == hashlib.sha256(data).hexdigest()
        assert store.put_bytes(data) == digest
        assert store.get_bytes(digest) == data
        assert store.ls().blobs == 1
        assert not list((store.root / "tmp").glob("*/*"))


def test_a_missing_blob_is_an_error_that_names_it(store: Store) -> None:
    with pytest.raises(StoreError, match=f"blob {'0' * 64} is missing"):
        store.get_bytes("0" * 64)
    with pytest.raises(StoreError, match="is not a SHA-256 digest"):
        store.path("../../etc/passwd")


def test_a_corrupt_blob_is_refused_removed_and_healed_by_the_next_put(store: Store) -> None:
    digest = store.put_bytes(b"some content")
    corrupt(store.path(digest))
    with pytest.raises(StoreError, match=f"{digest} is corrupt"):
        store.get_bytes(digest)
    assert store.ls().blobs == 0
    corrupt(store.path(store.put_bytes(b"some content")))
    assert store.get_bytes(store.put_bytes(b"some content")) == b"some content"
