"""The store: what goes in comes out, to the byte, or there is an error that names it."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeopt.schema.artifact import Artifact
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import StoreError
from edgeopt.schema.job import ArrayRef, Outcome
from edgeopt.store import Store

PATHS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12).filter(
        lambda name: name not in (".", "..")
    ),
    min_size=1,
    max_size=3,
).map("/".join)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@given(
    array=npst.arrays(
        dtype=npst.boolean_dtypes()
        | npst.integer_dtypes(endianness="?")
        | npst.floating_dtypes(endianness="?"),
        shape=npst.array_shapes(min_dims=0, min_side=0, max_dims=4, max_side=4),
    ),
    transpose=st.booleans(),
)
@settings(deadline=None)
def test_arrays_round_trip_whatever_their_memory_order(array: np.ndarray, transpose: bool) -> None:
    given_array = array.T if transpose else array
    with tempfile.TemporaryDirectory() as folder, Store(folder) as store:
        ref = store.put_array(given_array)
        found = store.get_array(ref)
        assert found.dtype == given_array.dtype and found.shape == given_array.shape
        np.testing.assert_array_equal(found, given_array)
        assert not found.flags.writeable
        assert store.put_array(given_array.copy(order="C")) == ref


@given(files=st.dictionaries(PATHS, st.binary(max_size=64), min_size=1, max_size=5))
@settings(deadline=None, max_examples=50)
def test_artifacts_round_trip_and_are_named_by_their_content(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "store") as store:
        source = Path(folder) / "source"
        for name, data in files.items():
            try:
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_bytes(data)
            except OSError:  # a name that is also a folder, or too long in UTF-8
                return
        artifact = store.put_artifact(source, "onnx")
        out = store.checkout(artifact, Path(folder) / "out")
        assert files_below(out) == files
        assert artifact.size_bytes == sum(map(len, files.values()))
        assert store.put_artifact(out, "onnx").digest == artifact.digest
        assert store.put_artifact(out, "torch").digest != artifact.digest


def test_put_file_stores_a_copy(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"first")
    digest = store.put_file(source)
    source.write_bytes(b"other")
    assert store.get_bytes(digest) == b"first"
    assert stat.S_IMODE(store.path(digest).stat().st_mode) == 0o444
    with pytest.raises(StoreError, match=r"no-such-file: cannot read"):
        store.put_file(tmp_path / "no-such-file")


def test_json_is_canonical(store: Store) -> None:
    assert store.put_json({"b": 1, "a": [True]}) == digest_of({"a": [True], "b": 1})
    with pytest.raises(ValueError):
        store.put_json(float("nan"))


def test_a_writable_checkout_is_private(store: Store, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "model.onnx").write_bytes(b"weights")
    artifact = store.put_artifact(tmp_path / "in", "onnx")
    out = store.checkout(artifact, tmp_path / "out", writable=True) / "model.onnx"
    out.write_bytes(b"changed")
    assert store.get_bytes(artifact.files["model.onnx"]) == b"weights"
    fixed = store.checkout(artifact, tmp_path / "fixed") / "model.onnx"
    assert stat.S_IMODE(fixed.stat().st_mode) == 0o444
    assert fixed.stat().st_nlink == 1


def test_links_special_files_and_empty_folders_are_no_artifact(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(StoreError, match="at least one file"):
        store.put_artifact(folder, "onnx")
    (folder / "link.onnx").symlink_to("/etc/passwd")
    with pytest.raises(StoreError, match=r"link\.onnx"):
        store.put_artifact(folder, "onnx")
    (folder / "link.onnx").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(StoreError, match="pipe"):
        store.put_artifact(folder, "onnx")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil"])
def test_a_checkout_stays_in_its_folder(store: Store, tmp_path: Path, name: str) -> None:
    forged = Artifact(format="onnx", files={name: store.put_bytes(b"x")}, size_bytes=1)
    with pytest.raises(StoreError, match="is outside"):
        store.checkout(forged, tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_arrays_that_need_pickle_are_refused_both_ways(store: Store) -> None:
    with pytest.raises(StoreError, match="dtype object"):
        store.put_array(np.array([{}], dtype=object))
    path = store.root / "pickled.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match="is not an array"):
        store.get_array(ArrayRef(blob=store.put_file(path), dtype="object", shape=(1,)))


def test_an_array_that_is_not_what_its_reference_says_is_refused(store: Store) -> None:
    ref = store.put_array(np.zeros((2, 3), np.float32))
    with pytest.raises(StoreError, match=r"holds float32\[2, 3\], not float32\[3, 2\]"):
        store.get_array(ref.model_copy(update={"shape": (3, 2)}))


def test_the_default_store_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEOPT_STORE", str(tmp_path / "mine"))
    assert Store.default().root == tmp_path / "mine"
    monkeypatch.delenv("EDGEOPT_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Store.default().root == tmp_path / "cache" / "edgeopt"


def test_a_folder_that_cannot_be_a_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match=r"file.*cannot write"):
        Store(tmp_path / "file")


def test_outcomes_are_kept_under_their_key(store: Store) -> None:
    outcome = Outcome(job="open", status="ok", key="a" * 64, digest="d", value={"n": 1}, seconds=2)
    assert store.outcome("a" * 64) is None
    store.keep(outcome.model_copy(update={"cached": True}))
    assert store.outcome("a" * 64) == outcome
    with pytest.raises(StoreError, match="'crashed' is never kept"):
        store.keep(outcome.model_copy(update={"status": "crashed"}))
