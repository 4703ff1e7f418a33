"""How an agent gets to where nothing of ours is, by a real shell, and why it does not."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.schema.errors import DeviceError, EdgeoptError, UnreachableError
from edgeopt.transport.boot import (
    agent_name,
    at_home,
    explained,
    start,
    start_supervisor,
)
from edgeopt.transport.hello import checked
from edgeopt.transport.pack import agent_archive


class Shell:
    """A link whose far end is a shell of this machine, with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def first(self, line: str) -> list[str]:
        return ["env", f"HOME={self.home}", "/bin/sh", "-c", line]

    next = first

    def explain(self, code: int | None, words: str) -> EdgeoptError | None:
        return None


def python(*front: str) -> Callable[..., str]:
    """Lines that become a Python, after some words."""
    return lambda *words: " ".join(["exec", *front, shlex.quote(sys.executable), *words])


def test_the_agent_is_kept_under_its_digest_and_answers(tmp_path: Path) -> None:
    link = Shell(tmp_path)
    log = tmp_path / "log"
    for _ in range(2):  # it is there the second time
        with start_supervisor("board", python(), "~/it's work", link, log, None) as supervisor:
            assert "onnxruntime" in checked(supervisor).runtimes
    assert (tmp_path / "it's work" / agent_name()).read_bytes() == agent_archive()
    assert [p.name for p in (tmp_path / "it's work").glob("*.pyz*")] == [agent_name()]


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        (lambda *_: "echo 'edgeopt: Python 3.6.9 is too old' >&2; exit 78",
         "Python there is too old: Python 3.6.9 is too old", "'python' in the devices file"),
        (lambda *words: f"exec {shlex.quote(sys.executable)} -S {' '.join(words)}",
         "Python there has no numpy: no numpy", "install it"),
        (lambda *_: "exec /no/such/python3", "no Python there: ", "install Python 3.8"),
        (lambda *words: f"head -c 100 | {shlex.quote(sys.executable)} {' '.join(words)}",
         "the connection broke while the agent was sent", "try again"),
        (lambda *words: python()(*words[:3], "0" * 64, *words[4:]),
         "the agent arrived corrupted", "check the connection"),
        (lambda *_: "kill -9 $$", "the connection was lost", "check that the board is up"),
    ],
    ids=["old", "no numpy", "no Python", "cut off", "corrupted", "killed"],
)  # fmt: skip
def test_what_goes_wrong_is_explained(
    tmp_path: Path, line: Callable[..., str], said: str, hint: str
) -> None:
    with pytest.raises(UnreachableError) as caught:
        checked(start_supervisor("board", line, "~/work", Shell(tmp_path), tmp_path / "log", None))
    assert caught.value.what.startswith(said) and hint in caught.value.hint
    assert caught.value.where == "board"
    assert not list(tmp_path.glob("work/*.pyz*"))


def test_no_place_for_uploads_is_explained(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file")
    with pytest.raises(UnreachableError, match="no place for uploads") as caught:
        checked(start_supervisor("board", python(), "~/work", Shell(tmp_path), tmp_path / "log",
                                 None))  # fmt: skip
    assert "'workdir' in the devices file" in caught.value.hint


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20))
def test_a_path_is_one_word_for_a_shell(path: str) -> None:
    home = {"PATH": os.environ["PATH"], "HOME": "/home/it's $x"}
    said = subprocess.run(
        ["/bin/sh", "-c", f'printf "%s\\0" {at_home(path)}'], env=home, capture_output=True,
        check=True,
    ).stdout  # fmt: skip
    expected = f"{home['HOME']}/{path[2:]}" if path.startswith("~/") else path
    assert said.decode() == f"{expected}\0"


def test_a_command_that_cannot_start_is_named(tmp_path: Path) -> None:
    for command in (["/no/such/command"], ["echo", "\0"]):
        with pytest.raises(DeviceError, match=f"cannot start '{command[0]}'") as caught:
            start("board", command, tmp_path / "log")
        assert caught.value.where == "board"


def test_words_of_the_shell_alone_explain_nothing() -> None:
    assert explained("board", 1, "numpy is no numpy: whatever") is None
    assert explained("board", None, "") is None
    found = explained("board", 127, "sh: 1: exec: python3: not found")
    assert isinstance(found, UnreachableError) and "python3: not found" in found.what
    assert "command not found" in str(explained("board", 126, ""))
