"""The bench lock: who times is alone, who works is not, and nobody waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeopt.schema.errors import DeviceError
from edgeopt.transport import lock
from edgeopt.transport.lock import bench_lock, device_lock, timing_wanted

WAIT_S = 30.0
HOLD = """\
import sys
from edgeopt.transport.lock import bench_lock
with bench_lock(sys.argv[1] == "alone"):
    print("held", flush=True)
    sys.stdin.read()
"""
Other = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(lock, "PATIENCE_S", 0.1)


@pytest.fixture
def other() -> Iterator[Other]:
    """``other("alone" or "shared")``: a process that holds the lock until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(how: str, *, wait: bool = True) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, how],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        if wait:
            assert process.stdout and process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_many_may_work_and_nobody_is_told_to_wait(other: Other) -> None:
    other("shared")
    told: list[str] = []
    with bench_lock(False, waiting=lambda: told.append("waits")):
        assert not timing_wanted()
    assert not told


@pytest.mark.parametrize(("theirs", "mine"), [("alone", True), ("alone", False), ("shared", True)])
def test_who_times_and_who_works_wait_for_each_other(other: Other, theirs: str, mine: bool) -> None:
    process = other(theirs)
    told = threading.Event()
    held = threading.Event()

    def take() -> None:
        with bench_lock(mine, waiting=told.set):
            held.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    assert told.wait(WAIT_S) and not held.is_set(), "it tells of its waiting, and waits"
    process.communicate()
    assert held.wait(WAIT_S)
    thread.join(WAIT_S)


def test_who_wants_to_time_is_known_and_comes_before_new_workers(other: Other) -> None:
    worker = other("shared")
    assert not timing_wanted()
    timer = other("alone", wait=False)
    while not timing_wanted():
        assert timer.poll() is None
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    with (
        pytest.raises(DeviceError, match="cancelled while waiting for a lock"),
        bench_lock(False, cancelled),
    ):
        pytest.fail("a worker came before it")
    worker.communicate()
    assert timer.stdout and timer.stdout.readline() == "held\n"
    assert timing_wanted()
    timer.communicate()
    assert not timing_wanted()


def test_a_holder_that_is_killed_holds_nothing(other: Other) -> None:
    process = other("alone")
    process.kill()
    process.wait()
    with bench_lock(True):
        assert timing_wanted()


def test_a_device_is_held_by_one_and_others_are_not_touched() -> None:
    told: list[str] = []
    cancelled = threading.Event()
    with device_lock("exec:lab", None, lambda: None), device_lock("exec:two", None, lambda: None):
        threading.Timer(0.4, cancelled.set).start()
        with (
            pytest.raises(DeviceError, match="cancelled") as caught,
            device_lock("exec:lab", cancelled, lambda: told.append("waits")),
        ):
            pytest.fail("two held it at once")
    assert told == ["waits"] and caught.value.where.endswith("edgeopt-exec-lab.lock")
    with device_lock("exec:lab", None, lambda: None):
        pass


def test_a_lock_that_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "edgeopt-bench.gate").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeviceError, match="cannot open a lock") as caught, bench_lock(False):
        pytest.fail("a link was followed")
    assert "TMPDIR" in caught.value.hint and not (tmp_path / "elsewhere").exists()


def test_a_file_that_another_user_made_is_enough(tmp_path: Path) -> None:
    for name in ("gate", "lock"):
        path = tmp_path / f"edgeopt-bench.{name}"
        path.write_text("")
        os.chmod(path, 0o444)
    with bench_lock(True):
        assert timing_wanted()
