"""A board behind a real sshd: what every device must do, uploads, and names."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from loopback import Board

from edgeopt.devices.ssh import SshSettings
from edgeopt.schema.errors import UsageError
from edgeopt.testing.devices import DeviceConformance
from edgeopt.transport.configured import settings_of
from edgeopt.transport.kinds import device_named

pytestmark = pytest.mark.long  # needs programs of Debian's: see CONTRIBUTING.md


@pytest.mark.usefixtures("on_board")
class TestSsh(DeviceConformance):
    @pytest.fixture
    def target(self) -> str:
        return "ssh:board/onnxruntime"


class TestLocal(DeviceConformance):
    @pytest.fixture
    def target(self) -> str:
        return "local/onnxruntime"


def test_hello_tells_machine_and_runtimes(on_board: Board) -> None:
    hello = device_named("ssh:board").hello()
    assert hello.machine.cores >= 1 and hello.machine.memory_bytes > 0
    assert "onnxruntime" in hello.runtimes and Path(hello.executable).is_absolute()
    on_board.nothing_left()


def test_a_file_is_sent_once_and_goes_on_where_it_was_cut_off(
    own_board: Board, tmp_path: Path
) -> None:
    data = bytes(range(256)) * (9 << 12)  # more than two chunks
    path = tmp_path / "big"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    blobs = own_board.work / "blobs"
    device = device_named("ssh:board")
    with device.lease(tmp_path, exclusive=True):
        pass  # makes the folders
    (blobs / f"{digest}.part").write_bytes(data[: 5 << 20])
    path.write_bytes(bytes(5 << 20) + data[5 << 20 :])  # its start could not be sent again
    with device.lease(tmp_path, exclusive=True) as lease:
        lease.put({digest: path})
        assert (blobs / digest).read_bytes() == data
        path.write_bytes(bytes(len(data)))  # and now nothing of it
        lease.put({digest: path})
        (run,) = own_board.work.glob("run-*")
        assert (run / digest).read_bytes() == data
    own_board.nothing_left()
    (blobs / digest).write_bytes(bytes(len(data)))  # the board's disk forgets
    path.write_bytes(data)
    with device.lease(tmp_path, exclusive=True) as lease:
        lease.put({digest: path})
    assert (blobs / digest).read_bytes() == data


def test_what_a_dead_supervisor_left_is_swept(own_board: Board, tmp_path: Path) -> None:
    stale = own_board.work / "run-0123456789abcdef"
    stale.mkdir(parents=True)
    agent, theirs = (own_board.work / name for name in (f"agent-{'0' * 16}.pyz", "agent-notes"))
    for path in (agent, theirs):
        path.write_bytes(b"")
        os.utime(path, (0, 0))
    (stale / "model").write_bytes(b"left")
    with device_named("ssh:board").lease(tmp_path, exclusive=True):
        assert not stale.exists() and not agent.exists()
        assert theirs.exists(), "only what edgeopt put there goes"
    own_board.nothing_left()


BAD = {
    "ssh: {board: {hots: here}}": (1, "unknown key 'hots'", "Did you mean 'host'?"),
    "ssh:\n  board: {}": (2, "'host': is missing", ""),
    "shs: {board: {host: here}}": (1, "unknown kind 'shs'", "Did you mean 'ssh'?"),
    "ssh:\n  board:\n    host: here\n    host: there": (4, "duplicate key", ""),
    "ssh:\n  bo;rd: {host: here}": (2, "'bo;rd' is not a valid name", ""),
    "ssh:\n  board: {host: -oProxyCommand=touch}": (2, "is not a host name", ""),
    "ssh:\n  board: {host: h, env: {A-B: c}}": (2, "is not the name of an environment", ""),
    "ssh:\n  board: {host: h, wait: soon}": (2, "cannot read 'soon'", ""),
    "ssh:\n  board: {host: h, wait: 2 GB}": (2, "cannot read '2 GB'; units: s, min, h", ""),
    "ssh:\n  board: {host: h, memory: 5 min}": (2, "units: kB, MB, GB", ""),
    "ssh:\n  board: {host: h, workdir: ~other/x}": (2, "in another's home", ""),
    "ssh: [board]": (1, "is a mapping", ""),
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_devices_file_is_read_strictly(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    monkeypatch.setenv("EDGEOPT_DEVICES", str(path))
    line, said, hint = BAD[text]
    with pytest.raises(UsageError) as caught:
        device_named("ssh:board")
    assert caught.value.where == f"{path}:{line}"
    assert said in caught.value.what and hint in caught.value.hint


def test_an_unknown_board_gets_the_nearest_name(on_board: Board) -> None:
    with pytest.raises(UsageError, match="no device 'ssh:baord'") as caught:
        device_named("ssh:baord")
    assert caught.value.hint == "Did you mean 'board'?"
    assert settings_of("ssh:board", SshSettings).host == "board-alias"
    with pytest.raises(UsageError, match="unknown device 'shs'"):
        device_named("shs:board")
