"""The host's end of an agent: asks, checks every answer, and kills what does not answer."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeopt.agent import protocol
from edgeopt.schema.base import printable
from edgeopt.schema.errors import DataError, DeviceError, EdgeoptError, ModelError, from_record
from edgeopt.schema.plugged import one_line

LOOK_S = 0.05  # how often cancel and time are looked at
PATIENCE_S = 1.0  # for the exit of an agent whose input was closed
ANSWER_S = 300.0
TAIL_BYTES, TAIL_LINES = 4096, 12
LOG_MAX = 1 << 24  # bytes that an agent may write to standard error
BLAMED = (ModelError, DataError, DeviceError)  # what an agent may call an error of its own

Explain = Callable[[int | None, str], EdgeoptError | None]  # exit status, last words


class Reply(BaseModel):
    """What an agent may answer: closed, strict types, finite numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class MachineFacts(Reply):
    """A machine, in its own words."""

    isa: str = Field(pattern=r"^[a-z0-9_]{1,32}(-[a-z0-9_]{1,32})?$")
    cores: int = Field(ge=1, le=65536)
    features: list[str] = Field([], max_length=1024)
    cpu: str = Field("", max_length=200)
    memory_bytes: int = Field(0, ge=0, lt=1 << 63)
    governor: str = Field("", max_length=64)
    system: str = Field("", max_length=64)
    kernel: str = Field("", max_length=200)
    load: float | None = None
    temperature_c: float | None = None
    frequency_mhz: float | None = None


class Hello(Reply):
    """An agent's first answer."""

    protocol: int
    machine: MachineFacts
    runtimes: dict[str, str]
    missing: dict[str, str] = {}  # runtime -> why it is not there
    python: str = Field("", max_length=32)
    executable: str = Field("", max_length=4096)


class Failure(Reply):
    """An error in the agent."""

    type: str = Field(max_length=64)
    what: str = Field(max_length=4000)
    where: str = Field(max_length=1000)
    hint: str = Field(max_length=2000)


R = TypeVar("R", bound=Reply)


class Channel:
    """One agent process behind pipes: its own, or a shell's that reaches a device.

    Start and use it in a thread that outlives it: a local agent asks the kernel to be killed
    when that thread ends. ``log`` has its standard error. Leaving the context ends it, after
    ``patience_s`` by force. ``explain`` may know better than the exit status why it ended.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        name: str,
        log: Path,
        cancelled: threading.Event | None = None,
        *,
        patience_s: float = PATIENCE_S,
        explain: Explain = lambda _code, _words: None,
    ) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.name = name
        self._process, self._log, self._cancelled = process, log, cancelled
        self._patience_s, self._explain = patience_s, explain
        self._requests, self._answers = process.stdin, process.stdout
        os.set_blocking(self._requests.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close() if kind is None else self.kill()

    @property
    def ended(self) -> int | None:
        """The exit status of its process, None while it runs."""
        return self._process.poll()

    def give(self, data: bytes, what: str) -> None:
        """Send bytes that come before the protocol. Raises DeviceError as ``ask`` does."""
        try:
            self._send(data, what, time.monotonic() + ANSWER_S)
        except EOFError:
            raise self._died(what) from None

    def ask(
        self,
        do: str,
        reply: type[R],
        *,
        timeout_s: float = ANSWER_S,
        arrays: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> tuple[R, protocol.Arrays]:
        """The checked answer to one request, and the arrays that came with it.

        Raises the agent's own error; DeviceError where it died, broke the protocol, took
        longer than ``timeout_s``, or the cancel was set - the agent is killed then.
        """
        deadline = time.monotonic() + timeout_s
        try:
            self._send(protocol.pack({"do": do, **fields}, arrays), do, deadline)
            header, reply_arrays = protocol.unpack(lambda count: self._read(count, do, deadline))
            if set(header) == {"error"}:
                raise _blamed(Failure.model_validate(header["error"]))
            if set(header) != {"ok"}:
                raise protocol.ProtocolError("an answer is neither 'ok' nor 'error'")
            return reply.model_validate(header["ok"]), reply_arrays
        except (protocol.ProtocolError, ValidationError) as error:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LOOK_S)
            if explanation := self._explain(self.ended, self._tail()):
                self.kill()
                raise explanation from error
            self.kill()
            said = one_line(error)[:600]
            raise DeviceError(f"agent gave no valid answer to '{do}': {said}", where=self.name,
                              hint=self._last_words()) from error  # fmt: skip
        except EOFError:
            raise self._died(do) from None
        except EdgeoptError:
            raise
        except BaseException:
            self.kill()
            raise

    def close(self) -> None:
        """Close its input, which ends it; kill it where that does not."""
        with suppress(OSError):
            self._requests.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self._patience_s)
        self.kill()

    def kill(self) -> None:
        """End the agent and all it started, at once. Idempotent."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._requests, self._answers):
            with suppress(OSError):
                stream.close()

    def counted(self, marks: int) -> list[tuple[int, ...]]:
        """What an emulator counted up to each of the new marks. Raises DeviceError: it is none."""
        raise DeviceError(f"nothing counted the {marks} marks", where=self.name)

    def _send(self, frame: bytes, do: str, deadline: float) -> None:
        pending = memoryview(frame)
        while pending:
            self._wait(do, deadline, writing=True)
            try:
                pending = pending[os.write(self._requests.fileno(), pending[: 1 << 16]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise EOFError from None

    def _read(self, count: int, do: str, deadline: float) -> bytes:
        got = bytearray()
        while len(got) < count:
            self._wait(do, deadline)
            chunk = os.read(self._answers.fileno(), min(count - len(got), 1 << 20))
            if not chunk:
                raise EOFError
            got += chunk
        return bytes(got)

    def _wait(self, do: str, deadline: float, writing: bool = False) -> None:
        """Until the pipe is ready. Raises DeviceError, the agent killed, where it must not be."""
        if self._requests.closed:
            raise EOFError
        reading = [] if writing else [self._answers]
        while True:
            if self._cancelled is not None and self._cancelled.is_set():
                self.kill()
                raise DeviceError(f"cancelled during '{do}'", where=self.name)
            if self._log.exists() and self._log.stat().st_size > LOG_MAX:
                self.kill()
                raise DeviceError(f"agent wrote more than {LOG_MAX >> 20} MB of messages",
                                  where=self.name, hint=self._last_words())  # fmt: skip
            left = deadline - time.monotonic()
            if left <= 0:
                self.kill()
                raise DeviceError(f"agent did not answer '{do}' in time", where=self.name,
                                  hint=self._last_words())  # fmt: skip
            ready = select.select(reading, [self._requests] if writing else [], [],
                                  min(LOOK_S, left))  # fmt: skip
            if any(ready):
                return

    def _died(self, do: str) -> EdgeoptError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
        code = self._process.poll()
        self.kill()
        if explanation := self._explain(code, self._tail()):
            return explanation
        how = "closed its output" if code is None else f"ended with exit status {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        return DeviceError(f"agent {how} during '{do}'", where=self.name, hint=self._last_words())

    def _last_words(self) -> str:
        text = "\n".join(self._tail().splitlines()[-TAIL_LINES:])
        return f"its last output: {text}" if text else "it printed nothing"

    def _tail(self) -> str:
        """The end of its standard error, as it may be shown."""
        text = ""
        with suppress(OSError), self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace").strip()
        return printable(text)


def _blamed(told: Failure) -> EdgeoptError:
    """An agent's error; of no kind that would end more than what was asked of it."""
    error = from_record(told.model_dump())
    if isinstance(error, BLAMED):
        return error
    return DeviceError(error.what, where=error.where, hint=error.hint)
