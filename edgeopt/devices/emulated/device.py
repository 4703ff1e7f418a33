"""``emulated:CORE``: agents under QEMU, which counts what they execute."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from edgeopt.devices.emulated.building import qemu_version
from edgeopt.devices.emulated.cores import Core, core_of
from edgeopt.devices.emulated.folder import CORES_FOLDER, PLUGIN, SET_UP, SITE, emulation, manifest
from edgeopt.schema.errors import DeviceError, UsageError
from edgeopt.schema.target import Target, TargetFacts
from edgeopt.transport.channel import Channel, Hello
from edgeopt.transport.hello import checked
from edgeopt.transport.lease import LocalLease
from edgeopt.transport.pack import agent_archive

SAMPLES_MAX = 256  # of a split: a few samples a second are scored under emulation
HELLO_S = 300.0  # a start takes seconds under emulation, more beside other work
ARCHIVE = "agent.pyz"
COUNTERS = ("vector_mac", "vector_other", "load_store", "branch", "scalar", "loaded", "stored")
LINE = re.compile(r"\d{1,19}( \d{1,19}){6}")
LINE_BYTES_MAX = 256
HOST_ONLY = {"isa", "features", "cores", "load", "governor", "kernel", "memory_bytes"}


class EmulatedDevice:
    """A core under QEMU: its instructions are counted, and no time there means anything."""

    quantities = frozenset({"instructions", "bytes", "size"})
    here: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        self.name = name
        self._core = core_of(name)
        self._hello: Hello | None = None
        self._asking = threading.Lock()

    def facts(self, target: Target) -> TargetFacts:
        """What the core and the runtime are; asked once a process. Raises DeviceError."""
        if target.threads != 1:
            raise UsageError(
                f"instructions are counted for one thread, not {target.threads}",
                where=str(target),
                hint="leave 'threads' out",
            )
        hello = self.hello()
        if target.runtime not in hello.runtimes:
            raise DeviceError(
                f"runtime '{target.runtime}' is not in the emulation",
                where=str(target),
                hint=f"it has: {', '.join(hello.runtimes)}",
            )
        machine = hello.machine.model_dump(exclude=HOST_ONLY)
        machine["cpu"] = f"{self._core.title}, emulated"
        return TargetFacts(
            target=str(target),
            isa=hello.machine.isa,
            features=tuple(hello.machine.features),
            runtime_version=hello.runtimes[target.runtime],
            cores=1,
            quantities=tuple(sorted(self.quantities)),
            samples_max=SAMPLES_MAX,
            machine={**machine, "python": hello.python, "emulator": _emulator(self._core)},
        )

    @contextlib.contextmanager
    def lease(
        self,
        workdir: Path,
        *,
        exclusive: bool,
        cancelled: threading.Event | None = None,
        note: Callable[[str], None] = print,
    ) -> Iterator[EmulatedLease]:
        """A folder below ``workdir``. Counts need no quiet machine: nobody is kept from it."""
        with tempfile.TemporaryDirectory(prefix="device-", dir=workdir) as folder:
            yield EmulatedLease(self.name, Path(folder), cancelled, self._core)

    def hello(self) -> Hello:
        """What the emulated agent says; asked once a process. Raises DeviceError."""
        with self._asking:
            if self._hello is None:
                with tempfile.TemporaryDirectory(prefix="device-") as folder:
                    lease = EmulatedLease(self.name, Path(folder), None, self._core)
                    with lease.start_agent() as channel:
                        self._hello = checked(channel, HELLO_S)
            return self._hello


class EmulatedLease(LocalLease):
    """A folder that agents under QEMU read from; guests see the host's files."""

    at_once = 1

    def __init__(
        self, name: str, folder: Path, cancelled: threading.Event | None, core: Core
    ) -> None:
        super().__init__(name, folder, cancelled)
        self._core = core

    def start_agent(self) -> Channel:
        """An agent on the emulated core, its counters written to a file at every mark."""
        home = emulation(self._name)
        program = shutil.which(self._core.qemu)
        if not self._core.arm and platform.machine() not in ("x86_64", "AMD64"):
            raise DeviceError("it runs the host's own Python, which is not for x86-64",
                              where=self._name, hint="use an Arm core")  # fmt: skip
        if program is None:
            raise DeviceError(
                f"no {self._core.qemu} here", where=self._name, hint=f"run '{SET_UP}'"
            )
        self._started += 1
        counts = self._folder / f"counts-{self._started}"
        prefix = home / CORES_FOLDER / self._core.name
        qemu = [program, "-cpu", self._core.cpu, "-L", str(prefix),
                "-plugin", f"{home / PLUGIN},out={counts}"]  # fmt: skip
        if "," in f"{home}{counts}":
            raise DeviceError("QEMU takes no comma in a path", where=f"{home}, {counts}")
        archive = self._folder / ARCHIVE
        archive.write_bytes(agent_archive())
        agent = [self._interpreter(home), str(archive), str(self._folder)]
        log = self._folder / f"agent-{self._started}.log"
        try:
            with log.open("ab") as errors:
                process = subprocess.Popen(
                    [*qemu, *agent],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                    bufsize=0,
                    env=self._env(home),
                )
        except OSError as error:
            raise DeviceError(f"cannot start an agent: {error}", where=self._name) from error
        return CountingChannel(process, self._name, log, self._cancelled, counts)

    def _interpreter(self, home: Path) -> str:
        """The userland's, or the host's own for an x86 core."""
        if not self._core.arm:
            return sys.executable
        name = f"python{manifest(home)['versions']['python']}"
        return str(home / CORES_FOLDER / self._core.name / "usr" / "bin" / name)

    def _env(self, home: Path) -> dict[str, str]:
        fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        if not self._core.arm:
            return {**os.environ, **fixed}
        kept = {k: v for k, v in os.environ.items() if k in ("TMPDIR", "HOME", "EDGEOPT_TEST_MARK")}
        paths = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(home / SITE)}
        return {**kept, **paths, **fixed}


class CountingChannel(Channel):
    """A channel to an agent whose emulator counts."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        name: str,
        log: Path,
        cancelled: threading.Event | None,
        counts: Path,
    ) -> None:
        """``counts`` is the file that the emulator writes."""
        super().__init__(process, name, log, cancelled)
        self._counts, self._read_bytes = counts, 0

    def counted(self, marks: int) -> list[tuple[int, ...]]:
        """The counters (``COUNTERS``) at each of the new marks. Raises DeviceError.

        The emulator has written them before the agent answers.
        """
        try:
            with self._counts.open("rb") as file:
                file.seek(self._read_bytes)
                said = file.read(marks * LINE_BYTES_MAX + 1)
        except OSError as error:
            raise DeviceError(f"no counts: {error.strerror}", where=self.name) from None
        self._read_bytes += len(said)
        lines = said.decode("ascii", "replace").splitlines()
        if len(lines) != marks or not all(LINE.fullmatch(line) for line in lines):
            raise DeviceError(f"the emulator noted no {marks} marks", where=self.name)
        return [tuple(map(int, line.split())) for line in lines]


def _emulator(core: Core) -> str:
    return f"{core.qemu} {qemu_version()}"
