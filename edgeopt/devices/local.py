"""This machine: agents run by the Python that edgeopt runs on."""

from __future__ import annotations

from pathlib import Path

from edgeopt.schema.errors import UsageError
from edgeopt.transport.here import Here


class LocalDevice(Here):
    """The machine that edgeopt runs on.

    ``python`` is an interpreter of another environment, with other runtimes, for the agents.
    """

    def __init__(self, name: str = "local", python: Path | None = None) -> None:
        if name != "local":
            raise UsageError(f"this machine is called 'local', not '{name}'", where=name)
        super().__init__(name, python)


DEVICE = LocalDevice
