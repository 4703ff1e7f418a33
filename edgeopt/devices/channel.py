"""The host's end of an agent: asks, checks every answer, and kills what does not answer."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeopt.agent import protocol
from edgeopt.schema.errors import DeviceError, EdgeoptError, from_record

LOOK_S = 0.05  # how often cancel and time are looked at
PATIENCE_S = 1.0  # for the exit of an agent whose input was closed
ANSWER_S = 300.0
TAIL_BYTES, TAIL_LINES = 4096, 12


class Reply(BaseModel):
    """What an agent may answer: closed, strict types, finite numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class MachineFacts(Reply):
    """A machine, in its own words."""

    isa: str = Field(pattern=r"^[a-z0-9_]{1,32}(-[a-z0-9_]{1,32})?$")
    features: list[str] = Field(max_length=1024)
    cpu: str = Field(max_length=200)
    cores: int = Field(ge=1, le=65536)
    memory_bytes: int = Field(ge=0)
    governor: str = Field(max_length=64)
    system: str = Field(max_length=64)
    kernel: str = Field(max_length=200)
    load: float | None


class Hello(Reply):
    """An agent's first answer."""

    protocol: int
    python: str = Field(max_length=32)
    machine: MachineFacts
    runtimes: dict[str, str]


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
    when that thread ends. ``log`` has its standard error. Leaving the context ends it.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        name: str,
        log: Path,
        cancelled: threading.Event | None = None,
    ) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.name = name
        self._process, self._log, self._cancelled = process, log, cancelled
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

    def ask(
        self, do: str, reply: type[R], *, timeout_s: float = ANSWER_S, **fields: Any
    ) -> tuple[R, protocol.Arrays]:
        """The checked answer to one request, and the arrays that came with it.

        Raises the agent's own error; DeviceError where it died, broke the protocol, took
        longer than ``timeout_s``, or the cancel was set - the agent is killed then.
        """
        deadline = time.monotonic() + timeout_s
        try:
            self._send(protocol.pack({"do": do, **fields}), do, deadline)
            header, arrays = protocol.unpack(lambda count: self._read(count, do, deadline))
            if set(header) == {"error"}:
                raise from_record(Failure.model_validate(header["error"]).model_dump())
            if set(header) != {"ok"}:
                raise protocol.ProtocolError("an answer is neither 'ok' nor 'error'")
            return reply.model_validate(header["ok"]), arrays
        except (protocol.ProtocolError, ValidationError) as error:
            self.kill()
            said = "; ".join(str(error).splitlines()[:4])[:600]
            raise DeviceError(f"agent gave no proper answer to '{do}': {said}", where=self.name,
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
            self._process.wait(PATIENCE_S)
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
            left = deadline - time.monotonic()
            if left <= 0:
                self.kill()
                raise DeviceError(f"agent did not answer '{do}' in time", where=self.name,
                                  hint=self._last_words())  # fmt: skip
            ready = select.select(reading, [self._requests] if writing else [], [],
                                  min(LOOK_S, left))  # fmt: skip
            if any(ready):
                return

    def _died(self, do: str) -> DeviceError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
        code = self._process.poll()
        self.kill()
        how = "closed its output" if code is None else f"ended with exit status {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        return DeviceError(f"agent {how} during '{do}'", where=self.name, hint=self._last_words())

    def _last_words(self) -> str:
        text = ""
        with suppress(OSError), self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace").strip()
        lines = "\n".join(text.splitlines()[-TAIL_LINES:])
        return f"its last words: {lines}" if lines else "it left no word"
