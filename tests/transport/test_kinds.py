"""Kinds of devices: built in, plugged in, and those that nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugging import write_metadata

from edgeopt.devices.local import LocalDevice
from edgeopt.schema.errors import UsageError
from edgeopt.transport import kinds
from edgeopt.transport.kinds import (
    device_kind,
    device_kinds,
    device_named,
    quantities_of,
    works_here,
)


def test_built_in_kinds_are_files_that_name_a_device() -> None:
    assert {"local", "ssh", "adb", "exec", "emulated"} <= set(device_kinds())
    assert device_kind("local") is LocalDevice
    with pytest.raises(UsageError, match="unknown device 'folder'"):
        device_kind("folder")  # a module there that is no kind


@pytest.mark.parametrize("name", ["../local", "local.x", "os", "", "LOCAL"])
def test_a_name_never_reaches_another_module(name: str) -> None:
    with pytest.raises(UsageError, match="unknown device"):
        device_named(name)


def test_the_nearest_kind_is_named_and_offline_is_explained() -> None:
    with pytest.raises(UsageError) as caught:
        device_named("emulatde:cortex-a53")
    assert caught.value.hint == "Did you mean 'emulated'?"
    with pytest.raises(UsageError) as caught:
        device_named("offline:board")
    assert "edgeopt job export" in caught.value.hint


def test_what_is_measured_and_where_is_known_of_a_kind_alone() -> None:
    assert "instructions" in quantities_of("emulated:cortex-a53")
    assert "latency" not in quantities_of("emulated:cortex-a53")
    assert works_here("local") and works_here("emulated:cortex-a53")
    assert not works_here("ssh:board") and not works_here("exec:lab")


def test_a_device_is_one_object_as_long_as_its_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text("exec: {lab: {command: [cat]}}\n")
    monkeypatch.setenv("EDGEOPT_DEVICES", str(path))
    first, local = device_named("exec:lab"), device_named("local")
    assert device_named("exec:lab") is first
    path.write_text("exec: {lab: {command: [tac]}} # changed\n")
    assert device_named("exec:lab") is not first
    assert device_named("local") is local, "it has no settings"


def test_a_kind_may_be_plugged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_metadata(tmp_path, "my-boards", {"edgeopt.devices": {"myboard": "my_boards:Board"}})
    (tmp_path / "my_boards.py").write_text(
        "class Board:\n"
        "    quantities = frozenset({'size'})\n"
        "    here = False\n"
        "    def __init__(self, name): self.name = name\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    kinds.device_kinds.cache_clear()
    try:
        assert "myboard" in device_kinds()
        assert device_named("myboard:one").name == "myboard:one"
        assert quantities_of("myboard:one") == {"size"} and not works_here("myboard:one")
    finally:
        kinds.device_kinds.cache_clear()
        kinds.device_kind.cache_clear()
