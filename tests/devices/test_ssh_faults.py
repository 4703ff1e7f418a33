"""What goes wrong with a board: each a clear error that says what to do, and nothing is left."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from loopback import Board, board, eventually

from edgeopt.schema.errors import DeviceError, UnreachableError
from edgeopt.schema.target import parse_target
from edgeopt.testing.devices import Place, run_small
from edgeopt.transport.kinds import device_named

pytestmark = pytest.mark.long  # needs programs of Debian's: see CONTRIBUTING.md

SSH = "ssh:board"
TARGET = "ssh:board/onnxruntime"


def script(folder: Path, text: str) -> str:
    path = folder / "python3"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def refused(board: Board) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        device_named(SSH).hello()
    assert caught.value.where == SSH and caught.value.hint
    board.nothing_left()
    return caught.value


def test_an_unknown_host_key_is_never_taken(own_board: Board) -> None:
    (own_board.folder / "known").write_text("")
    error = refused(own_board)
    assert "the host key is not known" in error.what
    assert f"ssh -F {own_board.folder}/ssh_config -- board-alias" in error.hint
    other = (own_board.folder / "key.pub").read_text().split()[1]
    (own_board.folder / "known").write_text(f"[127.0.0.1]:{own_board.port} ssh-ed25519 {other}\n")
    assert "the host key has changed" in refused(own_board).what


def test_a_refused_login_says_so(own_board: Board) -> None:
    (own_board.folder / "key.pub").write_text("")
    error = refused(own_board)
    assert "the login was refused" in error.what and "without a prompt" in error.hint


def test_no_python_there(own_board: Board) -> None:
    own_board.devices(python="/no/such/python3")
    error = refused(own_board)
    assert "no Python there" in error.what and "'python' in the devices file" in error.hint


def test_a_python_that_is_too_old_is_named(own_board: Board) -> None:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    real = [*pyenv.glob("versions/3.6.*/bin/python3"), *pyenv.glob("versions/2.7.*/bin/python")]
    said = "echo 'edgeopt: Python 3.6.9 is too old' >&2; exit 78"  # as the real one does
    for python in (script(own_board.folder, said), *map(str, real)):
        own_board.devices(python=python)
        assert "too old: Python" in refused(own_board).what


def test_a_python_without_numpy_or_without_a_runtime(own_board: Board, tmp_path: Path) -> None:
    bare = script(own_board.folder, f'exec {sys.executable} -S "$@"')
    own_board.devices(python=bare)
    error = refused(own_board)
    assert "no numpy" in error.what and "'python' in the devices file" in error.hint
    packages = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (tmp_path / name).symlink_to(packages / name)
    own_board.devices(python=bare, env=f"{{PYTHONPATH: {tmp_path}}}")
    device = device_named(SSH)
    assert device.hello().runtimes == {} and "onnxruntime" in device.hello().missing
    with pytest.raises(UnreachableError, match="'onnxruntime' is not installed") as caught:
        device.facts(parse_target(TARGET))
    assert "has none of: onnxruntime" in caught.value.hint and bare in caught.value.hint
    own_board.nothing_left()


ODD = {
    "garbage": "yes garbage | head -c 1000",
    "a gigabyte": "head -c 1000000000 /dev/zero",
    "a gigabyte of messages": "head -c 1000000000 /dev/zero >&2; exec cat >/dev/null",
    "a header of a gigabyte": "printf EOA1; yes '~~~~~~' | head -c 99; exec cat >/dev/null",
    "a login message": "echo welcome to the board; exec cat >/dev/null",
}


@pytest.mark.parametrize("kind", ODD)
def test_what_speaks_no_protocol_is_an_error(own_board: Board, kind: str) -> None:
    own_board.devices(python=script(own_board.folder, ODD[kind]))
    error = refused(own_board)
    assert "no valid answer" in error.what or "messages" in error.what, error


def test_a_second_build_is_told_who_holds_the_board(own_board: Board, place: Place) -> None:
    notes: list[str] = []
    with device_named(SSH).lease(place.folder, exclusive=False):
        own_board.devices(wait="1 s")
        with (
            pytest.raises(UnreachableError, match=f"is held by .*process {os.getpid()}") as caught,
            device_named(SSH).lease(place.folder, exclusive=False, note=notes.append),
        ):
            pass
    assert "'wait' in the devices file" in caught.value.hint
    assert len(notes) == 1 and "waiting" in notes[0]
    own_board.nothing_left()


def test_an_agent_gets_no_more_memory_than_the_devices_file_says(
    own_board: Board, place: Place
) -> None:
    own_board.devices(memory="150 MB")
    with pytest.raises(DeviceError) as caught:
        run_small(place, "score", TARGET)
    assert not isinstance(caught.value, UnreachableError)
    own_board.nothing_left()


class Cut(threading.Thread):
    """Does something to the board as soon as something holds."""

    def __init__(self, when: Any, do: Any) -> None:
        super().__init__(daemon=True)
        self.when, self.do = when, do
        self.start()

    def run(self) -> None:
        eventually(self.when, "it never came to that", 60)
        self.do()


def working(board: Board) -> list[psutil.Process]:
    found = []
    for each in board.agents():
        with contextlib.suppress(psutil.Error):
            if "-c" not in each.cmdline():
                found.append(each)
    return found


def test_a_connection_that_breaks_in_a_race_is_the_boards_fault(
    own_board: Board, place: Place
) -> None:
    cut = Cut(lambda: working(own_board), own_board.cut)
    with pytest.raises(UnreachableError) as caught:
        run_small(place, "race", TARGET)
    cut.join()
    assert "connection" in caught.value.what
    own_board.nothing_left()
    assert run_small(place, "score", TARGET)["n"] == 10, "sshd goes on, and so does the board"
    own_board.nothing_left()


def test_an_agent_that_is_killed_is_its_models_fault(own_board: Board, place: Place) -> None:
    cut = Cut(lambda: working(own_board), lambda: [p.kill() for p in working(own_board)])
    with pytest.raises(DeviceError, match="agent was killed on the board") as caught:
        run_small(place, "race", TARGET)
    cut.join()
    assert not isinstance(caught.value, UnreachableError)
    own_board.nothing_left()


def test_an_upload_goes_on_after_the_connection_broke(own_board: Board, place: Place) -> None:
    data = np.random.default_rng(0).bytes(96 << 20)
    path = place.folder / "big"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    notes: list[str] = []
    blobs = own_board.work / "blobs"

    def begun() -> bool:
        return any(part.stat().st_size for part in blobs.glob("*.part"))

    with device_named(SSH).lease(place.folder, exclusive=True, note=notes.append) as lease:
        cut = Cut(begun, own_board.cut)
        lease.put({digest: path})
        cut.join()
        assert (blobs / digest).read_bytes() == data
    assert any("connecting again" in note for note in notes)
    assert "ssh:board: sending 101 MB" in notes
    own_board.nothing_left()


MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
LIMIT = "ForceCommand /bin/sh -c 'ulimit -f 512; eval \"$SSH_ORIGINAL_COMMAND\"'"


@pytest.fixture(params=["tmpfs", "limit"])
def small_board(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Board]:
    """A board with no room: a tmpfs of 1 MB, or where mounting is forbidden, small files only."""
    front = ["unshare", "--mount"]
    may = subprocess.run([*front, "true"], capture_output=True).returncode == 0
    tmpfs = request.param == "tmpfs" and may
    mounted = tmp_path / "disk"
    mounted.mkdir()
    words = (*front, "sh", "-c", MOUNT, str(mounted)) if tmpfs else ()
    with board(front=words, more="" if tmpfs else LIMIT) as made:
        settings = {"workdir": str(mounted)} if tmpfs else {}
        monkeypatch.setenv("EDGEOPT_DEVICES", str(made.devices(**settings)))
        yield made


def test_a_full_disk_there_says_so_and_is_left_as_it_was(small_board: Board, place: Place) -> None:
    path = place.folder / "big"
    path.write_bytes(bytes(3 << 20))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with (
        pytest.raises(UnreachableError, match="no room left on the device") as caught,
        device_named(SSH).lease(place.folder, exclusive=True) as lease,
    ):
        lease.put({digest: path})
    assert "'workdir'" in caught.value.hint and digest in caught.value.where
    small_board.nothing_left()
    assert run_small(place, "score", TARGET)["n"] == 10, "the room was given back"


HEAT = 'mount --bind "$0" /sys/class/thermal && exec "$@"'


class Sun(threading.Thread):
    """Heats the board's sensor while its agent works, and lets it cool while it idles."""

    def __init__(self, board: Board, sensor: Path) -> None:
        super().__init__(daemon=True)
        self.board, self.sensor, self.over = board, sensor, threading.Event()
        self.warm(40)
        self.start()

    def warm(self, celsius: int) -> None:
        fresh = self.sensor.with_name("fresh")
        fresh.write_text(f"{celsius * 1000}\n")
        fresh.replace(self.sensor)

    def run(self) -> None:
        celsius, idle, spent = 40, 0, 0.0
        while not self.over.wait(0.05):
            now = 0.0
            for each in working(self.board):
                with contextlib.suppress(psutil.Error):
                    now += sum(each.cpu_times()[:2])
            idle = 0 if now > spent else idle + 1
            celsius = 40 if idle > 4 else celsius + 8
            spent = now
            self.warm(celsius)


def test_a_board_that_throttles_cools_and_is_asked_again_then_marked(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    heat = place.folder / "thermal"
    sensor = heat / "thermal_zone0" / "temp"
    sensor.parent.mkdir(parents=True)
    root = os.geteuid() == 0
    proot = ("proot", "-b", f"{heat}:/sys/class/thermal")
    front = ("unshare", "--mount", "sh", "-c", HEAT, str(heat)) if root else proot
    assert shutil.which(front[0]), f"no {front[0]}"
    notes: list[str] = []

    def told(*_: Any, note: str = "", **__: Any) -> None:
        notes.extend([note] if note else [])

    with board(front=front) as made:
        monkeypatch.setenv("EDGEOPT_DEVICES", str(made.devices()))
        sun = Sun(made, sensor)
        value = run_small(place, "race", TARGET, progress=told, layers=30)
        sun.over.set()
        sun.join()
        made.nothing_left()
    assert "throttled" in value["marks"]
    assert "throttled" in value["a"]["latency.p50"]["marks"]
    kept = json.loads(place.store.get_bytes(value["samples"]))
    assert (len(kept["throttled"]), len(kept["processes"])) == (2, 3)
    assert len(notes) == 2 and "after it has cooled" in notes[0]
    for process in (*kept["throttled"], *kept["processes"]):
        assert process["after"]["temperature_c"] - process["before"]["temperature_c"] > 10
