"""The devices file: quantities, defaults and what is missing. Its errors by line: tests of ssh."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.devices.exec import ExecSettings
from edgeopt.devices.ssh import SshSettings
from edgeopt.schema.errors import UsageError
from edgeopt.transport.configured import SIZES, TIMES, configured, quantity, settings_of


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "devices.yaml"
    monkeypatch.setenv("EDGEOPT_DEVICES", str(path))
    return path


def test_settings_are_read_by_kind_and_name_and_anew_when_the_file_changes(file: Path) -> None:
    file.write_text("exec: {lab: {command: [cat]}}\nssh: {board: {host: here}}\n")
    assert {kind: list(names) for kind, names in configured().items()} == {
        "exec": ["lab"], "ssh": ["board"],
    }  # fmt: skip
    assert settings_of("exec:lab", ExecSettings).command == ("cat",)
    file.write_text("exec: {lab: {command: [tac, -r]}}\n")
    assert settings_of("exec:lab", ExecSettings).command == ("tac", "-r")
    assert "ssh" not in configured()


@pytest.mark.parametrize("text", ["", "exec:\n", "# nothing yet\n"])
def test_an_empty_file_configures_nothing(file: Path, text: str) -> None:
    file.write_text(text)
    assert not configured()


def test_a_file_that_is_named_must_be_there(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no such devices file") as caught:
        configured()
    assert caught.value.where == str(file) and "EDGEOPT_DEVICES" in caught.value.hint
    monkeypatch.delenv("EDGEOPT_DEVICES")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "empty"))
    assert configured() == {}


def test_what_is_not_configured_says_how_to_add_it(file: Path) -> None:
    file.write_text("exec: {lab: {command: [cat]}}\n")
    with pytest.raises(UsageError, match="no device 'exec:lba' is configured") as caught:
        settings_of("exec:lba", ExecSettings)
    assert caught.value.where == str(file) and caught.value.hint == "Did you mean 'lab'?"
    with pytest.raises(UsageError, match="'ssh' needs a name: ssh:NAME") as caught:
        settings_of("ssh", SshSettings)
    assert "ssh: {NAME: {...}}" in caught.value.hint
    default = SshSettings(host="there")
    assert settings_of("ssh:none", SshSettings, default) is default
    with pytest.raises(UsageError, match="has the settings of another kind"):
        settings_of("exec:lab", SshSettings)


@given(st.integers(0, 10**6), st.sampled_from([*TIMES, *SIZES]), st.sampled_from(["", " ", "  "]))
def test_quantities_are_a_number_and_a_unit(number: int, unit: str, gap: str) -> None:
    units = TIMES if unit in TIMES else SIZES
    assert quantity(f" {number}{gap}{unit} ", units) == number * units[unit]


@pytest.mark.parametrize("text", ["", "5", "min", "-1 s", "1e3 s", "1,5 s", "5 GB", "1 s 2 s"])
def test_what_is_no_time_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(ValueError, match="units: s, min, h"):
        quantity(text, TIMES)
    assert quantity("1.5 h", TIMES) == 5400.0
