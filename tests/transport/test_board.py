"""Boards behind a shell of this machine: settings, the lease and who holds it, agents there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
from pydantic import ValidationError

from edgeopt.schema.errors import DeviceError, EdgeoptError, UnreachableError
from edgeopt.schema.target import parse_target
from edgeopt.transport.board import BoardDevice, BoardSettings, unreachable
from edgeopt.transport.hello import checked

TARGET = parse_target("ssh:board/onnxruntime")


class Shell:
    """A link whose far end is a shell of this machine, with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def first(self, line: str) -> list[str]:
        return ["env", f"HOME={self.home}", "/bin/sh", "-c", line]

    next = first

    def explain(self, code: int | None, words: str) -> EdgeoptError | None:
        return None


class ShellBoard(BoardDevice):
    """A board that is reached by a shell of this machine."""

    kind: ClassVar[str] = "shell"

    def __init__(self, home: Path, **settings: Any) -> None:
        given = {"python": sys.executable, **settings}
        super().__init__("ssh:board", BoardSettings.model_validate(given))
        self.home = home

    @contextlib.contextmanager
    def link(self) -> Iterator[Shell]:
        yield Shell(self.home)


def working(run: Path) -> list[psutil.Process]:
    """The agents of a job's folder there."""
    found = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(run) in each.cmdline():
                found.append(each)
    return found


@pytest.fixture
def board(tmp_path: Path) -> ShellBoard:
    return ShellBoard(tmp_path / "home")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / ".cache" / "edgeopt"


def test_a_lease_is_a_folder_there_that_goes_with_it(
    board: ShellBoard, work: Path, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    with board.lease(tmp_path, exclusive=True) as lease:
        lease.put({digest: path})
        (run,) = work.glob("run-*")
        assert (run / digest).read_bytes() == b"weights"
        with lease.start_agent() as agent:
            assert "onnxruntime" in checked(agent).runtimes
            (there,) = working(run)
    assert not there.is_running() or there.status() == psutil.STATUS_ZOMBIE
    assert not list(work.glob("run-*")) and not list(tmp_path.glob("device-*"))
    assert (work / "blobs" / digest).exists(), "it need not be sent again"


def test_facts_are_asked_once_and_a_missing_runtime_makes_it_useless(
    board: ShellBoard, work: Path
) -> None:
    facts = board.facts(TARGET)
    assert facts.isa.startswith(os.uname().machine) and facts.runtime_version
    assert board.hello() is board.hello()
    assert set(facts.quantities) == {"latency", "memory", "load_time", "size"}
    bare = board.hello().model_copy(update={"runtimes": {}})
    board._hello = bare
    with pytest.raises(UnreachableError, match="'onnxruntime' is not installed") as caught:
        board.facts(TARGET)
    assert sys.executable in caught.value.hint


def test_who_holds_a_board_is_told_and_waited_for(
    board: ShellBoard, work: Path, tmp_path: Path
) -> None:
    hasty = ShellBoard(board.home, wait="0.2 s")
    notes: list[str] = []
    with (
        board.lease(tmp_path, exclusive=False),
        pytest.raises(UnreachableError, match=f"process {os.getpid()}") as caught,
        hasty.lease(tmp_path, exclusive=False, note=notes.append),
    ):
        pytest.fail("two held it at once")
    assert "for longer than 0.2 s" in caught.value.what and "'wait'" in caught.value.hint
    (note,) = notes
    assert note.startswith("ssh:board is held by ") and note.endswith("; waiting")
    with hasty.lease(tmp_path, exclusive=False):
        assert len(list(work.glob("run-*"))) == 1


def test_a_cancel_ends_the_waiting(board: ShellBoard, work: Path, tmp_path: Path) -> None:
    cancelled = threading.Event()
    with board.lease(tmp_path, exclusive=False):
        threading.Timer(0.3, cancelled.set).start()
        with (
            pytest.raises(DeviceError, match="cancelled") as caught,
            board.lease(tmp_path, exclusive=False, cancelled=cancelled),
        ):
            pytest.fail("two held it at once")
    assert not isinstance(caught.value, UnreachableError), "the board is well"


def test_an_agent_there_has_the_memory_and_the_environment_that_are_said(
    work: Path, tmp_path: Path
) -> None:
    board = ShellBoard(tmp_path / "home", env={"MARK": "a 'b' $c"}, memory="2 GB")
    with board.lease(tmp_path, exclusive=True) as lease, lease.start_agent() as agent:
        checked(agent)
        (run,) = work.glob("run-*")
        (there,) = working(run)
        assert there.environ()["MARK"] == "a 'b' $c"
        assert there.rlimit(psutil.RLIMIT_AS) == (2_000_000_000, 2_000_000_000)


def test_an_agent_that_is_killed_is_no_lost_connection(
    board: ShellBoard, work: Path, tmp_path: Path
) -> None:
    from edgeopt.transport.channel import Hello

    with board.lease(tmp_path, exclusive=True) as lease, lease.start_agent() as agent:
        checked(agent)
        (run,) = work.glob("run-*")
        (there,) = working(run)
        there.kill()
        with pytest.raises(DeviceError) as caught:
            agent.ask("hello", Hello)
    assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"wait": "soon"}, "cannot read 'soon'"),
        ({"memory": "2"}, "cannot read '2'"),
        ({"cache": "2 min"}, "cannot read '2 min'"),
        ({"env": {"A=B": "c"}}, "'A=B' is not the name"),
        ({"env": {"Ä": "c"}}, "is not the name"),
        ({"workdir": "-rf"}, "is not a path"),
        ({"workdir": ""}, "is not a path"),
        ({"python": "py\nthon"}, "is not a path"),
        ({"workdir": "~other/x"}, "in another's home"),
        ({"pyhton": "python3"}, "Extra inputs"),
    ],
)
def test_settings_are_read_strictly(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        BoardSettings.model_validate(settings)


def test_only_a_cancel_is_not_the_boards_doing() -> None:
    with pytest.raises(UnreachableError, match="no answer") as caught, unreachable():
        raise DeviceError("no answer", where="ssh:board", hint="look")
    assert (caught.value.where, caught.value.hint) == ("ssh:board", "look")
    with pytest.raises(DeviceError) as told, unreachable():
        raise DeviceError("cancelled during 'hello'")
    assert type(told.value) is DeviceError
