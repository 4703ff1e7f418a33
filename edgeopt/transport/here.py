"""Devices that are this machine: agents are child processes, files are linked into a folder."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from edgeopt.schema.runtime import runtime_named
from edgeopt.schema.target import Target, TargetFacts
from edgeopt.transport.channel import Hello
from edgeopt.transport.hello import checked, facts_of
from edgeopt.transport.kinds import Note
from edgeopt.transport.lease import LocalLease
from edgeopt.transport.lock import bench_lock

WAITS = "waiting for another run of edgeopt on this machine to finish timing"


class Here:
    """The machine that edgeopt runs on, under a device's name.

    ``python`` is an interpreter of another environment, with other runtimes, for the agents.
    """

    quantities = frozenset({"latency", "memory", "load_time", "size"})
    here: ClassVar[bool] = True

    def __init__(self, name: str, python: Path | None = None) -> None:
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
            yield LocalLease(self.name, folder, cancelled, self._python, self._variables())

    def hello(self) -> Hello:
        """What this machine's agent says; asked once a process. Raises DeviceError."""
        with self._asking:
            if self._hello is None:
                with _folder(None) as folder:
                    lent = LocalLease(self.name, folder, None, self._python, self._variables())
                    with lent.start_agent() as channel:
                        self._hello = checked(channel)
            return self._hello

    def _variables(self) -> dict[str, str]:
        """What agents find in their environment besides."""
        return {}


@contextlib.contextmanager
def _folder(below: Path | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="device-", dir=below))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
