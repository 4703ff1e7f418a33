"""Outcome records: a record that cannot be trusted is no record, and does not come back."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeopt.schema.base import digest_of
from edgeopt.schema.job import Outcome
from edgeopt.store import Store

KEY = digest_of("key")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def record_of(store: Store) -> Path:
    (record,) = (store.root / "outcomes").glob("*/*.json")
    return record


def kept(store: Store) -> Outcome:
    ref = store.put_array(np.arange(3))
    outcome = Outcome(job="data", status="ok", key=KEY, value={"arrays": [ref.to_json()]})
    store.keep(outcome)
    return outcome


@given(value=st.dictionaries(st.text(max_size=6), JSON, max_size=4).filter(lambda v: _finite(v)))
@settings(deadline=None)
def test_any_json_value_comes_back_equal(value: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder, Store(folder) as store:
        outcome = Outcome(job="job", status="ok", key=KEY, value=value)
        store.keep(outcome)
        assert store.outcome(KEY) == outcome


@given(cut=st.floats(0, 1, exclude_max=True), flip=st.integers(0, 10**6), truncate=st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_damaged_record_is_none_and_removed(cut: float, flip: int, truncate: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, Store(folder) as store:
        kept(store)
        record = record_of(store)
        data = bytearray(record.read_bytes())
        if truncate:
            del data[int(cut * len(data)) :]
        else:
            data[flip % len(data)] ^= 1 << (flip % 7)
        record.chmod(0o644)
        record.write_bytes(data)
        assert store.outcome(KEY) is None
        assert not record.exists()


def test_a_record_under_another_key_is_not_believed(store: Store) -> None:
    kept(store)
    other = digest_of("other")
    target = store.root / "outcomes" / other[:2] / f"{other}.json"
    target.parent.mkdir(exist_ok=True)
    record_of(store).rename(target)
    assert store.outcome(other) is None
    assert not target.exists()


@pytest.mark.parametrize("harm", ["missing", "corrupt"])
def test_a_record_whose_blob_is_lost_is_none_and_removed(store: Store, harm: str) -> None:
    outcome = kept(store)
    blob = store.path(outcome.value["arrays"][0]["blob"])
    blob.chmod(0o644)
    blob.unlink() if harm == "missing" else blob.write_bytes(b"x" * blob.stat().st_size)
    with Store(store.root) as reader:
        assert reader.outcome(KEY) is None
    assert not list((store.root / "outcomes").glob("*/*.json"))


def test_a_record_names_even_an_empty_blob(store: Store) -> None:
    digest = store.put_bytes(b"")
    store.keep(Outcome(job="job", status="ok", key=KEY, digest=digest))
    assert json.loads(record_of(store).read_bytes())["blobs"] == [digest]
    store.path(digest).unlink()
    assert store.outcome(KEY) is None


def test_keeping_again_replaces(store: Store) -> None:
    kept(store)
    newer = Outcome(job="data", status="ok", key=KEY, value={"n": 2})
    store.keep(newer)
    assert store.outcome(KEY) == newer


def _finite(value: object) -> bool:
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return not isinstance(value, list) or all(map(_finite, value))
