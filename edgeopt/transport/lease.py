"""A folder of this machine that is lent for one measurement; its agents are child processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import edgeopt
from edgeopt.schema.errors import DeviceError
from edgeopt.transport.channel import Channel
from edgeopt.transport.linked import link_files
from edgeopt.transport.pack import agent_archive

AGENT = (sys.executable, "-P", "-m", "edgeopt.agent")


class LocalLease:
    """A folder that agents read from; ``python`` runs them from the agent's archive there.

    ``variables`` are added to their environment, in front of ``PYTHONPATH`` where that is one.
    """

    at_once = 3

    def __init__(
        self,
        name: str,
        folder: Path,
        cancelled: threading.Event | None,
        python: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._variables = dict(variables or {})
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
                    env=_environment(self._variables),
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


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's, with edgeopt's own folder on the path and fixed hashes."""
    home = str(Path(edgeopt.__file__).resolve().parent.parent)
    paths = (more.get("PYTHONPATH"), home, os.environ.get("PYTHONPATH"))
    path = os.pathsep.join(filter(None, paths))
    return {**os.environ, **more, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
