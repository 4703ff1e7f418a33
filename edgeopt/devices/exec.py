"""``exec:NAME``: a user's own command that reaches a board, with or without Python there.

It speaks the agent's frames on standard input and output and answers two requests, ``hello``
and ``infer`` (docs/devices.md). What a race or a score asks of an agent is put together of
these two here, so that all else is as on any device.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from edgeopt.agent import protocol
from edgeopt.schema.errors import DeviceError, UnreachableError
from edgeopt.schema.target import Target, TargetFacts
from edgeopt.transport.boot import start
from edgeopt.transport.channel import ANSWER_S, Channel, Hello, Reply
from edgeopt.transport.configured import settings_of
from edgeopt.transport.hello import checked, facts_of
from edgeopt.transport.kinds import Note
from edgeopt.transport.linked import link_files
from edgeopt.transport.lock import device_lock

R = TypeVar("R", bound=Reply)


class ExecSettings(BaseModel):
    """What the devices file says of a command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: tuple[StrictStr, ...] = Field(min_length=1, description="the command and its words")
    env: dict[str, StrictStr] = Field({}, description="environment, added to this one")


class Inferred(Reply):
    """What every ``infer`` tells of the model."""

    load_ns: int = Field(ge=0)
    inputs: list[dict[str, Any]]
    outputs: list[str]
    nodes: dict[str, int]


class ExecDevice:
    """Whatever the command reaches."""

    quantities = frozenset({"latency", "load_time", "size"})
    here: ClassVar[bool] = False
    Settings: ClassVar[type[ExecSettings]] = ExecSettings

    def __init__(self, name: str) -> None:
        self.name = name
        self.settings = settings_of(name, ExecSettings)
        self._hello: Hello | None = None
        self._asking = threading.Lock()

    def hello(self) -> Hello:
        """What the command says of the board; asked once a process. Raises UnreachableError."""
        with self._asking, tempfile.TemporaryDirectory(prefix="edgeopt-") as folder:
            if self._hello is None:
                try:
                    with ExecLease(self, Path(folder), None).start_agent() as channel:
                        self._hello = checked(channel)
                except DeviceError as error:
                    raise UnreachableError(
                        error.what, where=error.where, hint=error.hint
                    ) from error
            return self._hello

    def facts(self, target: Target) -> TargetFacts:
        """What the board and its runtime are. Raises DeviceError."""
        hint = f"the command of {self.name} names the runtimes in its hello"
        return facts_of(self.hello(), target, self.quantities, hint)

    @contextlib.contextmanager
    def lease(
        self,
        workdir: Path,
        *,
        exclusive: bool,
        cancelled: threading.Event | None = None,
        note: Note = lambda _text: None,
    ) -> Iterator[ExecLease]:
        """A folder below ``workdir``, for one job at a time of all on this machine."""
        waits = f"{self.name} is used by another run of edgeopt on this machine; waiting"
        with device_lock(self.name, cancelled, lambda: note(waits)):
            folder = Path(tempfile.mkdtemp(prefix="device-", dir=workdir))
            try:
                yield ExecLease(self, folder, cancelled)
            finally:
                shutil.rmtree(folder, ignore_errors=True)


class ExecLease:
    """A folder on this machine that the command reads from."""

    at_once = 1

    def __init__(self, device: ExecDevice, folder: Path, cancelled: threading.Event | None) -> None:
        self._device, self._folder, self._cancelled = device, folder, cancelled
        self._started = 0

    def put(self, files: Mapping[str, Path]) -> None:
        """Link files into the folder. Raises DeviceError."""
        link_files(self._folder, files, check=True)

    def start_agent(self) -> Channel:
        """The command, anew."""
        self._started += 1
        given = self._device.settings
        log = self._folder / f"agent-{self._started}.log"
        env = {**os.environ, **given.env}
        process = start(self._device.name, list(given.command), log, env)
        return ExecChannel(process, self._device.name, log, self._cancelled, folder=self._folder)


class ExecChannel(Channel):
    """An agent's requests, put together of ``hello`` and ``infer``."""

    def __init__(self, *given: Any, folder: Path) -> None:
        super().__init__(*given)
        self._folder = folder
        self._versions: dict[str, str] = {}
        self._threads: dict[str, int] = {}
        self._feeds: dict[str, dict[str, Any]] = {}
        self._sessions: dict[str, dict[str, Any]] = {}
        self._walked: dict[str, int] = {}
        self._nodes: dict[str, dict[str, int]] = {}
        self._does: dict[str, Callable[..., tuple[dict[str, Any], protocol.Arrays]]] = {
            "runtime": self._runtime, "feed": self._feed, "open": self._open,
            "close": self._close, "run": self._run, "time": self._time,
            "placement": self._placement, "state": lambda **_: ({}, {}),
        }  # fmt: skip

    def ask(
        self,
        do: str,
        reply: type[R],
        *,
        timeout_s: float = ANSWER_S,
        arrays: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> tuple[R, protocol.Arrays]:
        """As any agent answers. Raises DeviceError for what the command has no way to do."""
        if do in ("hello", "infer"):
            answer = super().ask(do, reply, timeout_s=timeout_s, arrays=arrays, **fields)
            if isinstance(answer[0], Hello):
                self._versions = answer[0].runtimes
            return answer
        if do not in self._does:
            raise DeviceError(f"a command cannot be asked for '{do}'", where=self.name)
        reply_fields, reply_arrays = self._does[do](**fields)
        try:
            return reply.model_validate(reply_fields), reply_arrays
        except ValidationError as error:
            said = "; ".join(str(error).splitlines()[:4])[:600]
            raise DeviceError(f"no valid answer to '{do}': {said}", where=self.name) from error

    def _infer(
        self, session: str, feed: str | None, **fields: Any
    ) -> tuple[Inferred, protocol.Arrays]:
        """One request to the command."""
        given = self._sessions[session]
        answer, arrays = self.ask(
            "infer",
            Inferred,
            folder=str(self._folder),
            **given,
            threads=self._threads[given["runtime"]],
            feeds=self._feeds[feed]["blobs"] if feed else {},
            **{"batch": 1, "first": 0, "count": 0, "loops": 0, **fields},
        )
        self._nodes[session] = answer.nodes
        return answer, arrays

    def _runtime(self, name: str, threads: int) -> tuple[dict[str, Any], protocol.Arrays]:
        if name not in self._versions:
            raise DeviceError(f"the command has no runtime '{name}'", where=self.name)
        self._threads[name] = threads
        return {"version": self._versions[name]}, {}

    def _feed(
        self, feed: str, blobs: dict[str, str], take: int, batch: int
    ) -> tuple[dict[str, Any], protocol.Arrays]:
        first = next(iter(blobs.values()))
        n = int(np.load(self._folder / first, mmap_mode="r", allow_pickle=False).shape[0])
        self._feeds[feed] = {"blobs": blobs, "take": min(take, n), "batch": batch}
        return {"n": n, "batches": -(-min(take, n) // batch)}, {}

    def _open(self, session: str, **given: Any) -> tuple[dict[str, Any], protocol.Arrays]:
        self._sessions[session], self._walked[session] = given, 0
        answer, _ = self._infer(session, None)
        return answer.model_dump(exclude={"nodes"}), {}

    def _close(self, session: str) -> tuple[dict[str, Any], protocol.Arrays]:
        self._sessions.pop(session, None)
        return {}, {}

    def _run(
        self, session: str, feed: str, start: int, stop: int, batch: int, pad: bool
    ) -> tuple[dict[str, Any], protocol.Arrays]:
        _, arrays = self._infer(session, feed, first=start, count=stop - start, batch=batch)
        return {}, arrays

    def _time(self, turns: list[list[Any]]) -> tuple[dict[str, Any], protocol.Arrays]:
        taken = []
        for session, feed, loops in turns:
            known = self._feeds[feed]
            first, count = self._walked[session], known["take"]
            _, arrays = self._infer(
                session, feed, first=first, count=count, loops=loops, batch=known["batch"]
            )
            ns = arrays.get("ns")
            if ns is None or ns.dtype != np.int64 or ns.shape != (loops,):
                raise DeviceError(f"the command gave no {loops} times", where=self.name)
            self._walked[session] = (first + loops * known["batch"]) % count
            taken.append(ns)
        return {"load": None}, {"ns": np.concatenate(taken)}

    def _placement(self, session: str, feed: str) -> tuple[dict[str, Any], protocol.Arrays]:
        return {"nodes": self._nodes[session]}, {}


DEVICE = ExecDevice
