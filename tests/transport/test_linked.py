"""Files for an agent on this machine: under their digests, and what they say they are."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from edgeopt.schema.errors import DeviceError
from edgeopt.transport.linked import link_files


@pytest.fixture
def given(tmp_path: Path) -> tuple[Path, str, Path]:
    """A file, its digest, and an empty folder."""
    path = tmp_path / "weights"
    path.write_bytes(b"some weights")
    (tmp_path / "device").mkdir()
    return path, hashlib.sha256(b"some weights").hexdigest(), tmp_path / "device"


def test_a_file_is_linked_under_its_digest_and_once(given: tuple[Path, str, Path]) -> None:
    path, digest, folder = given
    link_files(folder, {digest: path})
    link_files(folder, {digest: path.with_name("gone")})  # it is there: nothing is read again
    assert os.path.samefile(folder / digest, path)
    assert [each.name for each in folder.iterdir()] == [digest]


def test_where_links_are_refused_it_is_copied(
    given: tuple[Path, str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, digest, folder = given

    def refused(*_: object) -> None:
        raise OSError("links are not allowed")

    monkeypatch.setattr(os, "link", refused)
    link_files(folder, {digest: path})
    assert (folder / digest).read_bytes() == b"some weights"
    assert not os.path.samefile(folder / digest, path)


def test_what_is_not_what_its_digest_says_is_refused_where_it_is_checked(
    given: tuple[Path, str, Path],
) -> None:
    path, digest, folder = given
    path.write_bytes(b"other weights")
    with pytest.raises(DeviceError, match="weights is corrupt") as caught:
        link_files(folder, {digest: path}, check=True)
    assert caught.value.where == str(path) and not list(folder.iterdir())


@pytest.mark.parametrize("check", [True, False])
def test_a_file_that_is_gone_is_named(given: tuple[Path, str, Path], check: bool) -> None:
    path, digest, folder = given
    with pytest.raises(DeviceError, match="cannot put gone there: No such file") as caught:
        link_files(folder, {digest: path.with_name("gone")}, check=check)
    assert caught.value.where == str(folder)
