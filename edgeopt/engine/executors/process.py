"""One worker process: asked a request at a time, watched, and killed with all it started."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError

import edgeopt
from edgeopt.schema.base import canonical
from edgeopt.schema.errors import WorkerError
from edgeopt.schema.job import Limits, Outcome, Request, Status

WORKER = (sys.executable, "-P", "-m", "edgeopt.worker")
LOOK_S = 0.2  # how often time, memory and life are looked at
PATIENCE_S = 1.0  # for the exit of a worker that has closed its output
CHUNK = 1 << 16
TAIL_BYTES, TAIL_LINES = 4096, 12
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
STEADY = {"PYTHONHASHSEED": "0", **dict.fromkeys(THREADS, "1")}


class LostWorkerError(Exception):
    """The worker cannot go on; ``status`` says how it was lost, ``error`` why."""

    def __init__(self, status: Status, error: WorkerError) -> None:
        super().__init__(str(error))
        self.status: Status = status
        self.error = error


class WorkerProcess:
    """A child in a session of its own, its standard error in ``log``.

    It must be made in a thread that lives as long as the child may: the child asks the
    kernel to be killed when that *thread* ends.
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """``env`` is its environment where that is not the parent's."""
        self.name = name
        self._log = log
        self._killing = threading.Lock()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [*command, name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                bufsize=0,
                env=own_environment() if env is None else env,
            )
        assert self._process.stdin and self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)

    @property
    def alive(self) -> bool:
        """Whether it still runs. It is not reaped, so that its process group keeps its id."""
        if self._process.returncode is not None:
            return False
        with suppress(ChildProcessError):
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self._process.pid, options) is None
        return False

    def kill(self) -> None:
        """Kill it and its process group, and wait for its end. Idempotent, from any thread."""
        with self._killing:
            if self._process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def pause(self, stopped: bool) -> None:
        """Stop it and its process group where they stand, or let them go on."""
        with self._killing:
            if self._process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    sign = signal.SIGSTOP if stopped else signal.SIGCONT
                    os.killpg(self._process.pid, sign)

    def ask(
        self, request: Request, limits: Limits, progress: Callable[[dict[str, Any]], None]
    ) -> Outcome:
        """Its outcome of the request. Raises LostWorkerError, the process killed, for none."""
        os.truncate(self._log, 0)
        started = time.monotonic()
        try:
            for message in self._messages(request, limits):
                if "progress" in message:
                    progress(message["progress"])
                elif "outcome" in message:
                    outcome = Outcome.model_validate(message["outcome"])
                    if outcome.job == request.job.id:
                        return outcome
            raise self._crashed(request, time.monotonic() - started)
        except ValidationError as error:
            self.kill()
            raise self._lost("crashed", request, f"gave no valid outcome: {error}") from error
        except BaseException:
            self.kill()
            raise

    def _messages(self, request: Request, limits: Limits) -> Iterator[dict[str, Any]]:
        """Send the request, read messages until it ends. Raises LostWorkerError for limits."""
        pending = memoryview(canonical(request.to_json()) + b"\n")
        deadline = time.monotonic() + (limits.time_s or float("inf"))
        buffer, look_at = bytearray(), 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stdin, selectors.EVENT_WRITE)
            while True:
                for ready, _ in selector.select(LOOK_S):
                    if ready.fileobj is self._stdin:
                        pending = self._send(pending)
                        if not pending:
                            selector.unregister(self._stdin)
                    else:
                        chunk = os.read(self._stdout.fileno(), CHUNK)
                        if not chunk:
                            return
                        buffer += chunk
                        *lines, rest = buffer.split(b"\n")
                        buffer = rest
                        yield from filter(None, map(self._parsed, lines))
                now = time.monotonic()
                if now >= deadline:
                    said = f"ran longer than its limit of {limits.time_s:g} s"
                    raise self._lost("timeout", request, said)
                if now >= look_at:
                    look_at = now + LOOK_S
                    self._look(request, limits)
                    if not self.alive and not selector.select(0):
                        return

    def _send(self, pending: memoryview) -> memoryview:
        try:
            return pending[os.write(self._stdin.fileno(), pending[:CHUNK]) :]
        except BlockingIOError:
            return pending
        except BrokenPipeError:  # the end of its output tells the rest
            return pending[:0]

    def _parsed(self, line: bytes | bytearray) -> dict[str, Any] | None:
        """A message; what is none was printed too early to be caught, and goes to the log."""
        with suppress(ValueError, RecursionError):
            message = json.loads(line)
            if isinstance(message, dict):
                return message
        with self._log.open("ab") as log:
            log.write(line + b"\n")
        return None

    def _look(self, request: Request, limits: Limits) -> None:
        if limits.memory_bytes is None:
            return
        held = 0
        with suppress(psutil.Error):
            mine = psutil.Process(self._process.pid)
            for process in (mine, *mine.children(recursive=True)):
                with suppress(psutil.Error):
                    held += process.memory_info().rss
        if held > limits.memory_bytes:
            said = f"held {held / 1e6:,.0f} MB, more than its limit of "
            raise self._lost("memory", request, f"{said}{limits.memory_bytes / 1e6:,.0f} MB")

    def _crashed(self, request: Request, seconds: float) -> LostWorkerError:
        """Say how it ended; its output ends a little before it does."""
        patience = time.monotonic() + PATIENCE_S
        while self.alive and time.monotonic() < patience:
            time.sleep(0.01)
        ended = not self.alive
        self.kill()
        code = self._process.returncode
        if not ended:
            how = "closed its output"
        elif code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit status {code}"
        return self._lost("crashed", request, f"{how} after {seconds:.1f} s")

    def _lost(self, status: Status, request: Request, said: str) -> LostWorkerError:
        last = _tail(self._log)
        error = WorkerError(
            f"the worker '{self.name}' that ran {request.job.name} {said}",
            where=request.job.id,
            hint=f"its last output: {last}" if last else "it printed nothing",
        )
        return LostWorkerError(status, error)


def own_environment() -> dict[str, str]:
    """The parent's, with edgeopt itself in front of the path, one thread and fixed hashes."""
    home = str(Path(edgeopt.__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    return {**os.environ, **STEADY, "PYTHONPATH": path}


def foreign_environment(folder: Path) -> dict[str, str]:
    """That of another Python, which finds edgeopt through a link in ``folder`` and nothing else
    of this one."""
    folder.mkdir(exist_ok=True)
    link = folder / "edgeopt"
    if not link.is_symlink():
        link.symlink_to(Path(edgeopt.__file__).resolve().parent, target_is_directory=True)
    mine = ("PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_PRELOAD", "LD_LIBRARY_PATH")
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    return {**kept, **STEADY, "PYTHONPATH": str(folder), "PYTHONNOUSERSITE": "1"}


def _tail(log: Path) -> str:
    with suppress(OSError), log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - TAIL_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-TAIL_LINES:])
    return ""
