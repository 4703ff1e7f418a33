"""What lies in folders, before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeopt.testing.folders import changes, files_of, unchanged


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kept" / "deep").mkdir(parents=True)
    (tmp_path / "kept" / "deep" / "file").write_bytes(b"x")
    return tmp_path / "kept"


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda folder: (folder / "more").write_text(""), "changed kept/: 'more' is new"),
        (lambda folder: (folder / "deep" / "file").unlink(), "'deep/file' is gone"),
        (lambda folder: (folder / "deep" / "file").write_text("y"), "'deep/file' changed"),
        (lambda _folder: Path("rough").write_text(""), "into the current folder: ['rough']"),
    ],
)
def test_whatever_changes_is_told(folder: Path, do: Callable[[Path], object], said: str) -> None:
    here = Path.cwd()
    with pytest.raises(AssertionError) as caught, unchanged("a pass", folder):
        do(folder)
    assert said in str(caught.value) and str(caught.value).startswith("a pass ")
    assert Path.cwd() == here


def test_what_only_reads_leaves_no_trace(folder: Path) -> None:
    before = files_of(folder.parent)
    with unchanged("a pass", folder):
        assert (folder / "deep" / "file").read_bytes() == b"x"
        assert not list(Path.cwd().iterdir())
    assert files_of(folder.parent) == before == {"kept/deep/file": b"x"}


def test_changes_are_sorted_and_equal_files_are_none() -> None:
    assert changes({"a": b"1", "b": b"2"}, {"b": b"3", "c": b"4"}) == [
        "'a' is gone", "'b' changed", "'c' is new",
    ]  # fmt: skip
    assert changes({"a": b"1"}, {"a": b"1"}) == []
