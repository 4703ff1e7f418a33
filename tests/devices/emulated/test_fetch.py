"""What an emulated device is made of: unpacked, and errors with a command's last words."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edgeopt.devices.emulated.fetch import command, unpack_debs, unpack_wheels
from edgeopt.schema.errors import DeviceError


def test_what_a_command_says_is_given_back() -> None:
    assert command("sh", "-c", "echo out; echo err >&2; echo $LC_ALL", doing="talk") == (
        "out\nerr\nC.UTF-8"
    )


def test_a_command_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot count") as caught:
        command("sh", "-c", "seq 20; exit 3", doing="count")
    assert caught.value.where == "sh"
    assert caught.value.hint == "it said: " + "\n".join(map(str, range(13, 21)))
    with pytest.raises(DeviceError, match="cannot go: no no-such-command here"):
        command("no-such-command", doing="go")
    with pytest.raises(DeviceError, match="cannot start it: "):
        command(str(tmp_path), doing="start it")


def test_wheels_are_unpacked_into_one_folder_and_nowhere_else(tmp_path: Path) -> None:
    wheels, site = tmp_path / "wheels", tmp_path / "deep" / "site"
    wheels.mkdir()
    for name, member in (("a", "a/__init__.py"), ("b", "../../escaped.py")):
        with zipfile.ZipFile(wheels / f"{name}.whl", "w") as archive:
            archive.writestr(member, name)
    unpack_wheels(wheels, site)
    assert (site / "a" / "__init__.py").read_text() == "a"
    assert not list(tmp_path.glob("escaped.py")) and (site / "escaped.py").exists()
    (wheels / "c.whl").write_bytes(b"no archive")
    with pytest.raises(DeviceError, match="cannot unpack") as caught:
        unpack_wheels(wheels, site)
    assert caught.value.where == "c.whl"


def test_packages_without_a_python_are_no_userland(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="hold no Python"):
        unpack_debs(tmp_path, tmp_path)
    binaries = tmp_path / "usr" / "bin"
    binaries.mkdir(parents=True)
    for name in ("python3", "python3.11", "python3.11-config"):
        (binaries / name).write_text("")
    assert unpack_debs(tmp_path, tmp_path) == "3.11"
