"""A tool environment on this machine: agents run by its Python, with the runtime that it holds.

``environment:onnxruntime-1.17.0`` answers as that version does: files are held against the oldest
version that a recipe asks for.
"""

from __future__ import annotations

from edgeopt.environments import environment
from edgeopt.schema.errors import DeviceError, UsageError
from edgeopt.transport.here import Here


class EnvironmentDevice(Here):
    """The machine that edgeopt runs on, with the packages of an environment that is made."""

    def __init__(self, name: str) -> None:
        kind, _, named = name.partition(":")
        if not named:
            raise UsageError(
                f"'{name}' names no environment", hint=f"e.g. {kind}:onnxruntime-1.17.0"
            )
        env = environment(named)
        if not env.is_made:
            raise DeviceError(
                f"the tool environment '{named}' is missing", hint=f"edgeopt env make {named}"
            )
        super().__init__(name, env.interpreter)


DEVICE = EnvironmentDevice
