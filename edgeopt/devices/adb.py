"""``adb:NAME`` or ``adb:SERIAL``: a phone or board behind the system's ``adb`` client and server.

Its shell (``adb shell``, version 2 of its protocol, from Android 7) takes a command, standard
input and output as ssh does, so that the supervisor and the agents are the same.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field, StrictInt, StrictStr, ValidationError, field_validator

from edgeopt.schema.errors import DeviceError, UnreachableError, UsageError
from edgeopt.transport.board import BoardDevice, BoardSettings
from edgeopt.transport.configured import settings_of

SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}")
SAID = {  # by the client: what it means and what to do
    "not found": ("no device of that serial is attached",
                  "plug it in, or 'adb connect' it; 'adb devices' lists what is there"),
    "unauthorized": ("the device has not allowed this computer",
                     "unlock it and confirm the question on its screen"),
    "offline": ("the device is offline", "plug it in again, or restart it"),
    "more than one device": ("more than one device is attached", "name one by its serial"),
    "cannot connect to daemon": ("the adb server does not start", "try 'adb start-server'"),
    "closed": ("the device closed the connection", "check that it is still attached"),
}  # fmt: skip


class AdbSettings(BoardSettings):
    """What the devices file says of a device behind adb."""

    serial: StrictStr | None = Field(None, description="serial; the device's name otherwise")
    port: StrictInt | None = Field(None, ge=1, le=65535, description="port of the adb server")
    workdir: StrictStr = Field("/data/local/tmp/edgeopt", description="folder there for uploads")

    @field_validator("serial")
    @classmethod
    def _a_serial(cls, text: str | None) -> str | None:
        if text is not None and not SERIAL.fullmatch(text):
            raise ValueError(f"{text!r} is not a serial number")
        return text


class AdbLink:
    """The words of adb. Each command is a stream of its own over the server's connection."""

    def __init__(self, name: str, front: list[str]) -> None:
        self._name, self._front = name, front

    def first(self, line: str) -> list[str]:
        return [*self._front, "shell", "-T", line]

    next = first

    def explain(self, code: int | None, words: str) -> UnreachableError | None:
        """What adb's last words mean."""
        last = [line for line in words.splitlines() if line.startswith(("error:", "adb:", "* "))]
        for line in reversed(last):
            for sign, (what, hint) in SAID.items():
                if sign in line:
                    return UnreachableError(
                        f"cannot reach it by adb: {what}", where=self._name, hint=hint
                    )
        return None


class AdbDevice(BoardDevice):
    """A device that is reached by adb."""

    kind: ClassVar[str] = "adb"
    Settings: ClassVar[type[AdbSettings]] = AdbSettings

    def __init__(self, name: str) -> None:
        own = name.partition(":")[2]
        try:
            plain = AdbSettings.model_validate({"serial": own}) if own else None
        except ValidationError:
            raise UsageError(f"'{own}' is not a serial number", where=name) from None
        given = settings_of(name, AdbSettings, plain)
        self._serial, self._port = given.serial or own, given.port
        super().__init__(name, given)

    @contextlib.contextmanager
    def link(self) -> Iterator[AdbLink]:
        """The client; its server is started by itself and stays, as it always does."""
        found = shutil.which("adb")
        if found is None:
            raise DeviceError(
                "no adb on this machine", where=self.name,
                hint="install it: apt-get install adb, or Android's platform-tools",
            )  # fmt: skip
        port = ["-P", str(self._port)] if self._port else []
        yield AdbLink(self.name, [found, *port, "-s", self._serial])


DEVICE = AdbDevice
