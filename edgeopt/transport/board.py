"""Boards: devices that are reached by a command which runs another command there.

One connection lasts as long as a lease. Over it a supervisor (``agent/supervisor.py``) holds the
board's lock, takes files and sweeps up; each agent is one more command beside it.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shlex
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, StrictStr, field_validator

from edgeopt.schema.errors import DeviceError, EdgeoptError, UnreachableError
from edgeopt.schema.target import Target, TargetFacts
from edgeopt.transport.boot import (
    PATIENCE_S,
    Link,
    agent_name,
    at_home,
    explained,
    lost,
    start,
    start_supervisor,
)
from edgeopt.transport.channel import Channel, Hello, Reply
from edgeopt.transport.configured import SIZES, TIMES, quantity
from edgeopt.transport.hello import checked, facts_of
from edgeopt.transport.kinds import Note
from edgeopt.transport.upload import upload

LOOK_S = 0.5
RECONNECTS = 2


class BoardSettings(BaseModel):
    """What the devices file may say of any board."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: StrictStr = Field("python3", description="Python 3.8 or later there, with numpy")
    workdir: StrictStr = Field("~/.cache/edgeopt", description="folder there for uploads")
    env: dict[str, StrictStr] = Field({}, description="environment of the agent")
    wait: StrictStr = Field("5 min", description="how long to wait while another holds the board")
    memory: StrictStr | None = Field(None, description="most address space of an agent")
    cache: StrictStr = Field("2 GB", description="most that uploads may take there")

    @field_validator("wait")
    @classmethod
    def _a_time(cls, text: str) -> str:
        quantity(text, TIMES)
        return text

    @field_validator("memory", "cache")
    @classmethod
    def _a_size(cls, text: str | None) -> str | None:
        if text is not None:
            quantity(text, SIZES)
        return text

    @field_validator("env")
    @classmethod
    def _names(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not (name.isidentifier() and name.isascii()):
                raise ValueError(f"'{name}' is not the name of an environment variable")
        return env

    @field_validator("workdir", "python")
    @classmethod
    def _one_path(cls, text: str) -> str:
        if not text or text.startswith("-") or any(ord(c) < 32 for c in text):
            raise ValueError(f"{text!r} is not a path")
        if text.startswith("~") and text.partition("/")[0] != "~":
            raise ValueError(f"{text!r} is in another's home: write the whole path")
        return text

    def line(self, *words: str) -> str:
        """A line for a shell there that becomes the board's Python with these words."""
        env = [f"{name}={shlex.quote(value)}" for name, value in self.env.items()]
        front = ["exec", *(["env", *env] if env else []), at_home(self.python)]
        return " ".join([*front, *words])


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
                    self.supervisor(link, Path(folder) / "supervisor.log") as supervisor,
                ):
                    self._hello = checked(supervisor)
            return self._hello

    def supervisor(
        self, link: Link, log: Path, cancelled: threading.Event | None = None
    ) -> Channel:
        """A supervisor over a new connection. Raises UnreachableError, DeviceError."""
        settings = self.settings
        return start_supervisor(self.name, settings.line, settings.workdir, link, log, cancelled)

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
    """A connection whose supervisor holds the board, and a folder there."""

    at_once = 1

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
            self._log = self._folder / "supervisor.log"
            self._log.unlink(missing_ok=True)
            self._supervisor = self._device.supervisor(self._link, self._log, self._cancelled)
            self._stack.enter_context(self._supervisor)
            with unreachable():
                checked(self._supervisor)
            self._take()
        except BaseException:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """End the supervisor, which removes the folder there, and the connection."""
        self._stack.close()

    def put(self, files: Mapping[str, Path]) -> None:
        """Send what the board does not have yet; after a broken connection, from where it broke."""
        for left in range(RECONNECTS, -1, -1):
            try:
                upload(self._supervisor, files, self._note)
                self._supervisor.ask("link", Empty, blobs=sorted(files))
                return
            except UnreachableError as error:
                if not left or self._supervisor.ended is None:
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
        memory = [str(int(quantity(settings.memory, SIZES)))] if settings.memory else []
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
        keep = int(quantity(settings.cache, SIZES))
        ends, holder = time.monotonic() + quantity(settings.wait, TIMES), ""
        while True:
            answer, _ = self._supervisor.ask(
                "lease", LeaseReply, run=self._run, who=_who(), keep_bytes=keep
            )
            if answer.held:
                return
            if answer.by != holder:
                holder = answer.by
                self._note(f"{self._device.name} is held by {holder}; waiting")
            if time.monotonic() > ends:
                raise UnreachableError(
                    f"the board is held by {holder or 'another'}, for longer than {settings.wait}",
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
        while self._supervisor.ended is None and time.monotonic() < ends and code == 255:
            time.sleep(0.05)
        if self._supervisor.ended is not None:
            return self._link.explain(self._supervisor.ended, words) or lost(self._device.name)
        if code == 255 or code > 128:
            return DeviceError(
                "agent was killed on the board",
                where=self._device.name,
                hint="it may be out of memory; its kernel log tells (dmesg)",
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


def _who() -> str:
    with contextlib.suppress(KeyError, OSError):  # a user without a name
        return f"{getpass.getuser()} on {socket.gethostname()} (process {os.getpid()})"
    return f"process {os.getpid()} on {socket.gethostname()}"
