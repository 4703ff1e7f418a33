"""What tool environments are declared, and what their pins say."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeopt.environments import READY, Environment, environment, environments, home
from edgeopt.schema.errors import UsageError
from edgeopt.step import registry

TEXT = "# python: 3.12\n# for: nothing\nsix==1.17.0\n\nattrs==25.3.0\n"


def declared(tmp_path: Path, text: str = TEXT) -> Environment:
    file = tmp_path / "tool.txt"
    file.write_text(text)
    return Environment("tool", file)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", environments())
def test_each_says_its_python_its_purpose_and_the_version_of_all_it_holds(name: str) -> None:
    env = environment(name)
    assert env.python.count(".") == 1 and env.purpose
    assert env.pins and name in env.pins, "a tool has its own name"


def test_some_pass_runs_in_each() -> None:
    workers = {kind.worker for kind in registry().values()}
    assert environments().keys() <= workers


def test_what_is_no_pin_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'six>=1' is not NAME==VERSION"):
        _ = declared(tmp_path, "# python: 3.12\nsix>=1\n").pins


def test_another_pin_or_python_is_another_environment(tmp_path: Path) -> None:
    first = declared(tmp_path)
    said = (first.digest, first.folder)
    assert said[1].parent == home()
    again = declared(tmp_path, TEXT + "# a remark\n")
    assert (again.digest, again.folder) == said
    for text in (TEXT.replace("1.17", "1.16"), TEXT.replace("3.12", "3.13")):
        other = declared(tmp_path, text)
        assert other.digest != said[0] and other.folder != said[1]


def test_a_folder_without_its_mark_is_none(tmp_path: Path) -> None:
    env = declared(tmp_path)
    (env.folder / "bin").mkdir(parents=True)
    env.interpreter.touch()
    assert not env.is_made
    (env.folder / READY).touch()
    assert env.is_made


def test_an_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tool environment 'onnx2ft'") as caught:
        environment("onnx2ft")
    assert "onnx2tf" in caught.value.hint
