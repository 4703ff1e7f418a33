"""The chosen files of a result that was written nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeopt.commands.chosen import laid_out
from edgeopt.schema.artifact import Artifact
from edgeopt.schema.errors import StoreError
from edgeopt.store import Store


def kept(store: Store, folder: Path, **files: bytes) -> Artifact:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return store.put_artifact(folder, "onnx")


def test_one_file_is_laid_out_once_and_several_as_a_folder(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        one = kept(store, tmp_path / "one", model=b"a")
        two = kept(store, tmp_path / "two", model=b"b", weights=b"c")
    file, folder = (laid_out(tmp_path / "store", each) for each in (one, two))
    assert (file.name, file.read_bytes()) == ("model", b"a")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "model": b"b", "weights": b"c",
    }  # fmt: skip
    assert laid_out(tmp_path / "store", one) == file


def test_what_the_store_has_lost_is_an_error(tmp_path: Path) -> None:
    lost = Artifact(format="onnx", files={"model": "0" * 64}, size_bytes=1)
    with pytest.raises(StoreError):
        laid_out(tmp_path / "store", lost)
