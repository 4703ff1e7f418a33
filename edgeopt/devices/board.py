"""Boards: devices that are reached by a command which runs another command there.

One connection lasts as long as a lease. Over it a keeper (``agent/keeper.py``) holds the
board's lock, takes files and sweeps up; each agent is one more command beside it.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field, StrictStr, field_validator

from edgeopt.devices import Note
from edgeopt.devices.channel import Channel, Hello, Reply
from edgeopt.devices.configured import quantity
from edgeopt.devices.hello import checked, facts_of
from edgeopt.devices.pack import agent_archive
from edgeopt.devices.upload import upload
from edgeopt.schema.errors import DeviceError, EdgeoptError, UnreachableError
from edgeopt.schema.target import Target, TargetFacts

PATIENCE_S = 15.0  # for the end of what runs there, over a slow line
LOOK_S = 0.5
RECONNECTS = 2

# Runs before anything of ours is there, in whatever Python it finds: it takes the agent from
# standard input, keeps it under its digest, and becomes it.
BOOT = """\
import sys
def end(said):
    sys.stderr.write("edgeopt: " + said + "\\n")
    sys.exit(78)
if sys.version_info < (3, 8):
    end("Python %d.%d.%d is too old" % sys.version_info[:3])
import hashlib, os
try:
    import numpy
except ImportError as error:
    end("no numpy: %s" % error)
size, digest, work = int(sys.argv[1]), sys.argv[2], os.path.expanduser(sys.argv[3])
data = b""
while len(data) < size:
    part = os.read(0, size - len(data))
    if not part:
        end("the agent did not arrive whole")
    data += part
if hashlib.sha256(data).hexdigest() != digest:
    end("the agent arrived corrupted")
path = os.path.join(work, "agent-%s.pyz" % digest[:16])
try:
    os.makedirs(work, 0o700, exist_ok=True)
    for name in os.listdir(work):
        if name.startswith("agent-") and name != os.path.basename(path):
            os.unlink(os.path.join(work, name))
    try:
        with open(path, "rb") as file:
            there = file.read() == data
    except FileNotFoundError:
        there = False
    if not there:
        made = "%s.%d" % (path, os.getpid())
        try:
            with open(made, "wb") as file:
                file.write(data)
            os.replace(made, path)
        finally:
            if os.path.exists(made):
                os.unlink(made)
except OSError as error:
    end("cannot write: %s: %s" % (error.strerror, work))
import runpy
sys.argv = [path, "--keep", work]
runpy.run_path(path, run_name="__main__")
"""


class BoardSettings(BaseModel):
    """What the devices file may say of any board."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: StrictStr = Field("python3", description="Python 3.8 or later there, with numpy")
    workdir: StrictStr = Field("~/.cache/edgeopt", description="folder there for uploads")
    env: dict[str, StrictStr] = Field({}, description="environment of the agent")
    wait: StrictStr = Field("5 min", description="how long to wait while another holds the board")
    memory: StrictStr | None = Field(None, description="most address space of an agent")
    cache: StrictStr = Field("2 GB", description="most that uploads may take there")

    @field_validator("wait", "memory", "cache")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            quantity(text)
        return text

    @field_validator("env")
    @classmethod
    def _names(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not (name.isidentifier() and name.isascii()):
                raise ValueError(f"'{name}' is no name of an environment variable")
        return env

    @field_validator("workdir", "python")
    @classmethod
    def _one_path(cls, text: str) -> str:
        if not text or text.startswith("-") or any(ord(c) < 32 for c in text):
            raise ValueError(f"{text!r} is no path")
        return text

    def line(self, *words: str) -> str:
        """A line for a shell there that becomes the board's Python with these words."""
        env = [f"{name}={shlex.quote(value)}" for name, value in self.env.items()]
        front = ["exec", *(["env", *env] if env else []), at_home(self.python)]
        return " ".join([*front, *words])


class Link(Protocol):
    """A connection: how to run a line there, and what it means that it broke."""

    def first(self, line: str) -> list[str]:
        """The command that connects and runs a line; the connection lasts as long as it."""

    def next(self, line: str) -> list[str]:
        """The command that runs one more line over the same connection."""

    def explain(self, code: int | None, words: str) -> EdgeoptError | None:
        """Why a command that was to connect ended; None where that is not the link's doing."""


class LeaseReply(Reply):
    """Whether the board is ours, or who holds it."""

    held: bool
    by: str = Field(max_length=1000)


class Empty(Reply):
    """Nothing but that it is done."""


class BoardDevice:
    """A board of any kind. Kinds say how to connect."""

    quantities = frozenset({"latency", "memory", "load_time", "size"})
    here: ClassVar[bool] = False
    kind: ClassVar[str]

    def __init__(self, name: str, settings: BoardSettings) -> None:
        self.name, self.settings = name, settings
        self._hello: Hello | None = None
        self._asking = threading.Lock()

    def link(self) -> AbstractContextManager[Link]:
        """A connection's words; raises DeviceError where the host lacks the command."""
        raise NotImplementedError

    def hello(self) -> Hello:
        """What the board says of itself; asked once a process. Raises DeviceError."""
        with self._asking:
            if self._hello is None:
                with (
                    unreachable(),
                    tempfile.TemporaryDirectory(prefix="edgeopt-") as folder,
                    self.link() as link,
                    start_keeper(self, link, Path(folder) / "keeper.log", None) as keeper,
                ):
                    self._hello = checked(keeper)
            return self._hello

    def facts(self, target: Target) -> TargetFacts:
        """What the board and its runtime are. Raises UnreachableError."""
        hint = f"install it for {self.settings.python} on the board"
        with unreachable():
            return facts_of(self.hello(), target, self.quantities, hint)

    @contextlib.contextmanager
    def lease(
        self,
        workdir: Path,
        *,
        exclusive: bool,
        cancelled: threading.Event | None = None,
        note: Note = lambda _text: None,
    ) -> Iterator[BoardLease]:
        """The board for one job, always alone: what else ran there would be measured too."""
        folder = Path(tempfile.mkdtemp(prefix="device-", dir=workdir))
        lease = BoardLease(self, folder, cancelled, note)
        try:
            lease.connect()
            yield lease
        finally:
            lease.disconnect()
            shutil.rmtree(folder, ignore_errors=True)


class BoardLease:
    """A connection whose keeper holds the board, and a folder there."""

    def __init__(
        self, device: BoardDevice, folder: Path, cancelled: threading.Event | None, note: Note
    ) -> None:
        self._device, self._folder = device, folder
        self._cancelled, self._note = cancelled, note
        self._stack = contextlib.ExitStack()
        self._started = 0

    def connect(self) -> None:
        """Connect and wait until the board is ours. Raises UnreachableError, DeviceError."""
        self._stack = contextlib.ExitStack()
        try:
            self._link = self._stack.enter_context(self._device.link())
            self._log = self._folder / "keeper.log"
            self._log.unlink(missing_ok=True)
            self._keeper = start_keeper(self._device, self._link, self._log, self._cancelled)
            self._stack.enter_context(self._keeper)
            with unreachable():
                checked(self._keeper)
            self._take()
        except BaseException:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """End the keeper, which removes the folder there, and the connection."""
        self._stack.close()

    def put(self, files: Mapping[str, Path]) -> None:
        """Send what the board does not have yet; after a broken connection, from where it broke."""
        for left in range(RECONNECTS, -1, -1):
            try:
                upload(self._keeper, files)
                self._keeper.ask("link", Empty, blobs=sorted(files))
                return
            except UnreachableError as error:
                if not left or self._keeper.ended is None:
                    raise
                self._note(f"{self._device.name}: {error.what}; connecting again")
                self._pause(1.0)
                self.disconnect()
                self.connect()

    def start_agent(self) -> Channel:
        """One more command over the connection."""
        self._started += 1
        settings = self._device.settings
        work = settings.workdir.rstrip("/")
        memory = [str(int(quantity(settings.memory)))] if settings.memory else []
        agent, run = at_home(f"{work}/{agent_name()}"), at_home(f"{work}/{self._run}")
        log = self._folder / f"agent-{self._started}.log"
        process = start(self._device.name, self._link.next(settings.line(agent, run, *memory)), log)
        return Channel(
            process, self._device.name, log, self._cancelled,
            patience_s=PATIENCE_S, explain=self._explain,
        )  # fmt: skip

    def _take(self) -> None:
        """Ask for the lease until it is ours or the patience ends."""
        settings = self._device.settings
        self._run = f"run-{secrets.token_hex(8)}"
        keep = int(quantity(settings.cache))
        ends, told = time.monotonic() + quantity(settings.wait), ""
        while True:
            answer, _ = self._keeper.ask(
                "lease", LeaseReply, run=self._run, who=_who(), keep_bytes=keep
            )
            if answer.held:
                return
            if answer.by != told:
                told = answer.by
                self._note(f"{self._device.name} is held by {told}; waiting")
            if time.monotonic() > ends:
                raise UnreachableError(
                    f"the board is held by {told or 'another'}, for longer than {settings.wait}",
                    where=self._device.name,
                    hint="wait until that build has ended, or give it more time: 'wait' in the "
                    "devices file",
                )
            self._pause(LOOK_S)

    def _pause(self, seconds: float) -> None:
        if self._cancelled is None:
            time.sleep(seconds)
        elif self._cancelled.wait(seconds):
            raise DeviceError("cancelled while waiting", where=self._device.name)

    def _explain(self, code: int | None, words: str) -> EdgeoptError | None:
        """An agent's end: with the connection's, or by a signal there."""
        if code is None:
            return None
        ends = time.monotonic() + 2.0
        while self._keeper.ended is None and time.monotonic() < ends and code == 255:
            time.sleep(0.05)
        if self._keeper.ended is not None:
            return self._link.explain(self._keeper.ended, words) or _lost(self._device.name)
        if code == 255 or code > 128:
            return DeviceError(
                "agent was killed on the board",
                where=self._device.name,
                hint="it may be out of memory; its log of the kernel tells (dmesg)",
            )
        return explained(self._device.name, code, words)


@contextlib.contextmanager
def unreachable() -> Iterator[None]:
    """Before anything is measured, what a board does wrong makes the whole board useless."""
    try:
        yield
    except DeviceError as error:
        if error.what.startswith("cancelled"):
            raise
        raise UnreachableError(error.what, where=error.where, hint=error.hint) from error


def start_keeper(
    device: BoardDevice, link: Link, log: Path, cancelled: threading.Event | None
) -> Channel:
    """Connect, send the agent and have it keep the board. Raises UnreachableError, DeviceError."""
    data = agent_archive()
    words = [shlex.quote(BOOT), str(len(data)), hashlib.sha256(data).hexdigest()]
    line = device.settings.line("-c", *words, shlex.quote(device.settings.workdir))
    process = start(device.name, link.first(line), log)

    def explain(code: int | None, words: str) -> EdgeoptError | None:
        told = explained(device.name, code, words) or link.explain(code, words)
        return told or (_lost(device.name) if code in (255, -9, -15) else None)

    channel = Channel(process, device.name, log, cancelled, patience_s=PATIENCE_S, explain=explain)
    try:
        channel.give(data, "connect")
    except BaseException:
        channel.kill()
        raise
    return channel


def start(name: str, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """A command on this machine, in a session of its own. Raises DeviceError."""
    try:
        with log.open("ab") as errors:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                bufsize=0,
            )
    except OSError as error:
        raise DeviceError(f"cannot start {command[0]}: {error.strerror}", where=name) from error


def agent_name() -> str:
    """What the agent's file is called on a board."""
    return f"agent-{hashlib.sha256(agent_archive()).hexdigest()[:16]}.pyz"


def at_home(path: str) -> str:
    """A path as one word for a shell there; ``~/`` is the home it knows."""
    rest = path.removeprefix("~/")
    return f'"$HOME"/{shlex.quote(rest)}' if rest != path else shlex.quote(path)


SAID = {  # of the boot, or of a shell: what it means and what to do
    "is too old": ("Python there is too old: {line}",
                   "name Python 3.8 or later under 'python' in the devices file"),
    "no numpy": ("Python there has no numpy: {line}",
                 "install it, or name another Python under 'python' in the devices file"),
    "arrived corrupted": ("the agent arrived corrupted", "check the connection and try again"),
    "did not arrive whole": ("the connection broke while the agent was sent", "try again"),
    "cannot write": ("no place for uploads: {line}",
                     "free some space there, or point 'workdir' in the devices file elsewhere"),
}  # fmt: skip


def explained(name: str, code: int | None, words: str) -> EdgeoptError | None:
    """What the board's own words mean, where they are known."""
    for line in words.splitlines():
        said = line.removeprefix("edgeopt: ")
        for sign, (what, hint) in SAID.items():
            if said != line and sign in said:
                return UnreachableError(what.format(line=said[:300]), where=name, hint=hint)
    if code in (126, 127):
        return UnreachableError(
            f"no Python there: {words.splitlines()[-1][:300] if words else 'command not found'}",
            where=name,
            hint="install Python 3.8 or later, or name it under 'python' in the devices file",
        )
    return None


def _lost(name: str) -> UnreachableError:
    return UnreachableError(
        "the connection was lost",
        where=name,
        hint="check that the board is up and its network steady, then run it again",
    )


def _who() -> str:
    with contextlib.suppress(KeyError, OSError):  # a user without a name
        return f"{getpass.getuser()} on {socket.gethostname()} (process {os.getpid()})"
    return f"process {os.getpid()} on {socket.gethostname()}"
