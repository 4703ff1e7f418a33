"""A board on this machine: a real sshd on loopback, with a home and a key of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
PidFile {folder}/pid
AuthorizedKeysFile {folder}/key.pub
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
SetEnv HOME={home}
{more}
"""
CLIENT = """\
Host board-alias
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
"""
DIES = ("setpriv", "--pdeathsig", "KILL")  # with the tests, however they end


@dataclass
class Board:
    """An sshd that can be started, stopped and looked at; ``settings`` go to the devices file."""

    folder: Path
    more: str = ""
    front: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    home_there: str = ""  # what the home is called on the board, where that is another name
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        return self.home / ".cache" / "edgeopt"

    def start(self) -> None:
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        assert Path(sshd).exists(), "no sshd: apt-get install openssh-server"
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        for name in ("host", "key"):
            if not (self.folder / name).exists():
                command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]
                subprocess.run([*command, str(self.folder / name)], check=True)
        self.port = self.port or free_port()
        facts = {"port": self.port, "folder": self.folder, "home": self.home, "more": self.more}
        (self.folder / "sshd_config").write_text(CONFIG.format(**facts))
        (self.folder / "ssh_config").write_text(CLIENT.format(**facts, user=getpass.getuser()))
        self.know()
        config = str(self.folder / "sshd_config")
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*DIES, *self.front, sshd, "-D", "-e", "-f", config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        eventually(self._answers, "sshd does not answer")

    def know(self) -> None:
        """Write the host key to the client's known hosts."""
        key = (self.folder / "host.pub").read_text().split()
        (self.folder / "known").write_text(f"[127.0.0.1]:{self.port} {key[0]} {key[1]}\n")

    def stop(self) -> None:
        """Kill sshd and every session of it, as a power cut does."""
        if self.process is not None:
            mine = psutil.Process(self.process.pid)
            for each in [*mine.children(recursive=True), mine]:
                with contextlib.suppress(psutil.Error):
                    each.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def cut(self, listener: bool = False) -> None:
        """Kill the sessions' sshd processes, and the listener too where asked: nothing else."""
        assert self.process is not None
        mine = psutil.Process(self.process.pid)
        for each in [*mine.children(recursive=True), *([mine] if listener else [])]:
            with contextlib.suppress(psutil.Error):
                if each.name().startswith("sshd"):
                    each.kill()
        if listener:
            self.process.wait()
            self.process = None

    def agents(self) -> list[psutil.Process]:
        """Agents and supervisors that run on the board."""
        home = self.home_there or str(self.home)
        works = (f"{home}/.cache/edgeopt", "~/.cache/edgeopt")
        found = []
        for each in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                words = [] if each.name() == "ssh" else each.cmdline()
                mine = any(word.startswith(works) for word in words)
                if mine and each.environ().get("HOME") == home:
                    found.append(each)
        return found

    def left(self) -> list[str]:
        """Folders of jobs, starts of uploads and processes that are still on the board."""
        files = [str(p) for p in (*self.work.glob("run-*"), *self.work.glob("blobs/*.part"))]
        return [*files, *(" ".join(p.cmdline()) for p in self.agents())]

    def nothing_left(self) -> None:
        eventually(lambda: not self.left(), f"left on the board: {self.left()}")

    def devices(self, **settings: Any) -> Path:
        """A devices file with this board as ``ssh:board``; None takes a setting out."""
        own = {
            "host": "board-alias", "config": str(self.folder / "ssh_config"),
            "python": sys.executable, "wait": "60 s",
        }  # fmt: skip
        given = {k: v for k, v in {**own, **self.settings, **settings}.items() if v is not None}
        path = self.folder / "devices.yaml"
        lines = [f"    {name}: {value}" for name, value in given.items()]
        path.write_text("\n".join(["ssh:", "  board:", *lines]) + "\n")
        return path

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


@contextlib.contextmanager
def board(**given: Any) -> Iterator[Board]:
    """A board in a folder of its own, with a short name."""
    with tempfile.TemporaryDirectory(prefix="board-") as folder:
        made = Board(Path(folder), **given)
        try:
            made.start()
            yield made
        finally:
            made.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(true: Callable[[], Any], said: str, patience_s: float = 20.0) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < ends, said
        time.sleep(0.05)
