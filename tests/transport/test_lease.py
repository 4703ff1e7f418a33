"""A lent folder of this machine, and the agents that are started in it."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
from pathlib import Path

import psutil
import pytest

from edgeopt.schema.errors import DeviceError
from edgeopt.transport.channel import Hello
from edgeopt.transport.hello import checked
from edgeopt.transport.lease import LocalLease


def children(folder: Path) -> list[psutil.Process]:
    """Child processes that work in a folder."""
    found = []
    for each in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if str(folder) in each.cmdline():
                found.append(each)
    return found


def test_an_agent_is_a_child_that_ends_with_its_channel(tmp_path: Path) -> None:
    lease = LocalLease("local", tmp_path, None)
    with lease.start_agent() as channel:
        assert checked(channel).executable == sys.executable
        (child,) = children(tmp_path)
        assert child.environ()["PYTHONHASHSEED"] == "0"
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert (tmp_path / "agent-1.log").exists()
    with lease.start_agent():
        assert (tmp_path / "agent-2.log").exists(), "a log for each"


def test_another_python_runs_the_archive_of_the_agent(tmp_path: Path) -> None:
    lease = LocalLease("local", tmp_path, None, Path(sys.executable))
    with lease.start_agent() as channel:
        (child,) = children(tmp_path)
        assert child.cmdline()[1:3] == ["-I", str(tmp_path / "agent.pyz")]
        assert "onnxruntime" in checked(channel).runtimes


def test_a_python_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    lease = LocalLease("the lab", tmp_path, None, tmp_path / "python3")
    with pytest.raises(DeviceError, match="cannot start an agent: ") as caught:
        lease.start_agent()
    assert caught.value.where == "the lab"


def test_files_are_laid_where_agents_read_them(tmp_path: Path) -> None:
    path = tmp_path / "given"
    path.write_bytes(b"x")
    folder = tmp_path / "lent"
    folder.mkdir()
    digest = hashlib.sha256(b"x").hexdigest()
    LocalLease("local", folder, None).put({digest: path})
    assert (folder / digest).read_bytes() == b"x"


def test_a_cancel_reaches_the_agents(tmp_path: Path) -> None:
    cancelled = threading.Event()
    with LocalLease("local", tmp_path, cancelled).start_agent() as channel:
        cancelled.set()
        with pytest.raises(DeviceError, match="cancelled during 'hello'"):
            channel.ask("hello", Hello)
