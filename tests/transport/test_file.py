"""Where the devices file lies, and how a change of it is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeopt.schema.errors import UsageError
from edgeopt.transport.file import devices_file, stamp


def test_the_file_is_the_one_that_is_named_or_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EDGEOPT_DEVICES", "~/boards.yaml")
    assert devices_file() == tmp_path / "boards.yaml"
    monkeypatch.setenv("EDGEOPT_DEVICES", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert devices_file() == tmp_path / "config" / "edgeopt" / "devices.yaml"


def test_a_stamp_changes_with_place_time_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    monkeypatch.setenv("EDGEOPT_DEVICES", str(first))
    assert stamp() is None
    stamps = set()
    for path, text, time in (
        (first, "ab", 1), (first, "abc", 1), (first, "abc", 2), (second, "abc", 2),
    ):  # fmt: skip
        monkeypatch.setenv("EDGEOPT_DEVICES", str(path))
        path.write_text(text)
        os.utime(path, (time, time))
        stamps.add(stamp())
        assert stamp() in stamps
    assert len(stamps) == 4


def test_a_place_that_cannot_be_looked_at_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEOPT_DEVICES", str(tmp_path / "file" / "devices.yaml"))
    with pytest.raises(UsageError, match="Not a directory") as caught:
        stamp()
    assert caught.value.where == str(tmp_path / "file" / "devices.yaml")
