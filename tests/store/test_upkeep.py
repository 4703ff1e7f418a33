"""Listing, collecting and verifying."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edgeopt.schema.base import digest_of
from edgeopt.schema.job import Outcome
from edgeopt.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def keep(store: Store, name: str, *contents: bytes, used_days_ago: float = 0) -> str:
    blobs = [store.put_bytes(content) for content in contents]
    key = digest_of(name)
    store.keep(Outcome(job=name, status="ok", key=key, value={"blobs": blobs}))
    used = time.time() - used_days_ago * 86400
    os.utime(store.root / "outcomes" / key[:2] / f"{key}.json", (used, used))
    return key


def test_ls_says_what_is_kept_last_used_first(store: Store) -> None:
    keep(store, "old", b"1234", b"12", used_days_ago=2)
    keep(store, "new", b"1234")
    found = store.ls()
    assert [(entry.job, entry.size_bytes) for entry in found.entries] == [("new", 4), ("old", 6)]
    assert (found.blobs, found.size_bytes, found.root) == (2, 6, str(store.root))
    assert found.free_bytes > 0


def test_gc_removes_only_what_no_outcome_names(store: Store) -> None:
    key = keep(store, "job", b"needed")
    store.put_bytes(b"garbage!")
    done = store.gc()
    assert (done.outcomes, done.blobs, done.freed_bytes, done.kept_bytes) == (0, 1, 8, 6)
    assert store.outcome(key) is not None


def test_gc_by_age_counts_from_the_last_use(store: Store) -> None:
    unused, used = (keep(store, name, name.encode(), used_days_ago=9) for name in ("a", "b"))
    assert store.outcome(used) is not None
    assert store.gc(max_age_s=86400).outcomes == 1
    assert store.outcome(used) is not None
    assert store.outcome(unused) is None


def test_gc_by_size_keeps_the_last_used_that_fit(store: Store) -> None:
    keys = [keep(store, f"job{i}", bytes([i]) * 10, used_days_ago=i) for i in range(4)]
    assert store.gc(max_bytes=25).kept_bytes == 20
    assert [store.outcome(key) is not None for key in keys] == [True, True, False, False]


def test_verify_removes_what_is_corrupt_and_all_that_needs_it(store: Store) -> None:
    good = keep(store, "good", b"sound")
    bad = keep(store, "bad", b"sound", b"rotten")
    (digest,) = (d for d in (store.put_bytes(b"rotten"),))
    blob = store.path(digest)
    stamp = blob.stat()
    blob.chmod(0o644)
    blob.write_bytes(b"ROTTEN")
    os.utime(blob, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # not even the time tells
    found = store.verify()
    assert (found.corrupt, found.broken, found.ok) == ((digest,), (bad,), False)
    assert store.verify().ok
    assert store.outcome(good) is not None
    assert store.outcome(bad) is None


class StoreMachine(RuleBasedStateMachine):
    """Puts, keeps, collections and verifications in any order lose nothing that is needed."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(self.folder.name)
        self.blobs: set[bytes] = set()
        self.kept: dict[str, tuple[bytes, ...]] = {}

    @rule(content=st.binary(max_size=3))
    def put(self, content: bytes) -> None:
        self.store.put_bytes(content)
        self.blobs.add(content)

    @rule(name=st.sampled_from("abc"), contents=st.lists(st.binary(max_size=3), max_size=3))
    def keep(self, name: str, contents: list[bytes]) -> None:
        key = keep(self.store, name, *contents)
        self.blobs.update(contents)
        self.kept[key] = tuple(contents)

    @rule(name=st.sampled_from("abc"), content=st.binary(min_size=1, max_size=3))
    def lose(self, name: str, content: bytes) -> None:
        if content in self.blobs:
            self.store.path(self.store.put_bytes(content)).unlink()
            self.blobs.discard(content)
            for key in [key for key, named in self.kept.items() if content in named]:
                assert self.store.outcome(key) is None
                del self.kept[key]

    @rule()
    def collect(self) -> None:
        self.store.gc()
        self.blobs = {content for named in self.kept.values() for content in named}

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.folder.name)

    @invariant()
    def all_that_is_needed_is_there(self) -> None:
        assert self.store.ls().blobs == len(self.blobs)
        for key in self.kept:
            assert self.store.outcome(key) is not None
        assert self.store.verify().ok

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
