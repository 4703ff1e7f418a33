"""This machine: agents are child processes, files are linked into their folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import edgeopt
from edgeopt.devices import Note
from edgeopt.devices.channel import Channel, Hello
from edgeopt.devices.hello import checked, facts_of
from edgeopt.devices.linked import link_files
from edgeopt.devices.lock import bench_lock
from edgeopt.devices.pack import agent_archive
from edgeopt.schema.errors import DeviceError, UsageError
from edgeopt.schema.runtime import runtime_named
from edgeopt.schema.target import Target, TargetFacts

AGENT = (sys.executable, "-P", "-m", "edgeopt.agent")
WAITS = "waiting until another run of edgeopt on this machine has timed what it is timing"


class LocalDevice:
    """The machine that edgeopt runs on.

    ``python`` is an interpreter of another environment, with other runtimes, for the agents.
    """

    quantities = frozenset({"latency", "memory", "load_time", "size"})
    here: ClassVar[bool] = True

    def __init__(self, name: str = "local", python: Path | None = None) -> None:
        if name != "local":
            raise UsageError(f"this machine is called 'local', not '{name}'", where=name)
        self.name, self._python = name, python
        self._hello: Hello | None = None
        self._asking = threading.Lock()

    def facts(self, target: Target) -> TargetFacts:
        """What the machine and the runtime are. Raises DeviceError."""
        hint = runtime_named(target.runtime).install
        return facts_of(self.hello(), target, self.quantities, hint)

    @contextlib.contextmanager
    def lease(
        self,
        workdir: Path,
        *,
        exclusive: bool,
        cancelled: threading.Event | None = None,
        note: Note = lambda _text: None,
    ) -> Iterator[LocalLease]:
        """A folder below ``workdir`` and, if ``exclusive``, the machine's bench lock.

        Shared work holds that lock already: the engine takes it around every job.
        """
        with contextlib.ExitStack() as stack:
            if exclusive:
                stack.enter_context(bench_lock(True, cancelled, lambda: note(WAITS)))
            folder = stack.enter_context(_folder(workdir))
            yield LocalLease(self.name, folder, cancelled, self._python)

    def hello(self) -> Hello:
        """What this machine's agent says; asked once a process. Raises DeviceError."""
        with self._asking:
            if self._hello is None:
                with (
                    _folder(None) as folder,
                    LocalLease(self.name, folder, None, self._python).start_agent() as channel,
                ):
                    self._hello = checked(channel)
            return self._hello


class LocalLease:
    """A folder that agents read from; ``python`` runs them from the agent's archive there."""

    def __init__(
        self,
        name: str,
        folder: Path,
        cancelled: threading.Event | None,
        python: Path | None = None,
    ) -> None:
        self._name, self._folder, self._cancelled = name, folder, cancelled
        self._python = python
        self._started = 0

    def put(self, files: Mapping[str, Path]) -> None:
        """Link files, or copy where the file system has no links. Raises DeviceError."""
        link_files(self._folder, files)

    def start_agent(self) -> Channel:
        """A child in a session of its own, which dies with this thread."""
        self._started += 1
        log = self._folder / f"agent-{self._started}.log"
        try:
            with log.open("ab") as errors:
                process = subprocess.Popen(
                    [*self._command(), str(self._folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                    bufsize=0,
                    env=_environment(),
                )
        except OSError as error:
            raise DeviceError(f"cannot start an agent: {error}", where=self._name) from error
        return Channel(process, self._name, log, self._cancelled)

    def _command(self) -> tuple[str, ...]:
        if self._python is None:
            return AGENT
        archive = self._folder / "agent.pyz"
        if not archive.exists():
            archive.write_bytes(agent_archive())
        return str(self._python), "-I", str(archive)


def _environment() -> dict[str, str]:
    """This process's, with edgeopt's own folder on the path and fixed hashes."""
    home = str(Path(edgeopt.__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}


@contextlib.contextmanager
def _folder(below: Path | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="device-", dir=below))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


DEVICE = LocalDevice
