"""``ssh:NAME``: a board behind the system's OpenSSH client.

Its configuration, jump hosts, agent, hardware keys and host key checking come with it. The
supervisor's command is the master of one connection that all agents share; it ends with the lease.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field, StrictInt, StrictStr, field_validator

from edgeopt.schema.errors import DeviceError, UnreachableError
from edgeopt.transport.board import BoardDevice, BoardSettings
from edgeopt.transport.configured import settings_of

HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:%-]{0,252}|\[[0-9A-Fa-f:.%]+\]")
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")
FAILED = 255  # ssh's own exit status where it could not connect, or lost the connection
LONGEST = 60  # of a folder for the socket: its path has about 100 characters
OPTIONS = (
    "BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3",
    "RequestTTY=no", "RemoteCommand=none", "ControlPersist=no", "ClearAllForwardings=yes",
)  # fmt: skip
SAID = {  # by the client: what it means and what to do
    "REMOTE HOST IDENTIFICATION HAS CHANGED": (
        "the host key has changed",
        "if the board was reinstalled, remove the old key (ssh-keygen -R HOST) and compare the "
        "new one; else somebody may be listening",
    ),
    "Host key verification failed": (
        "the host key is not known",
        "connect once by hand ({by_hand}) and compare the key, or add it to known_hosts",
    ),
    "Permission denied": (
        "the login was refused",
        "check user and key: '{by_hand}' must work without a prompt",
    ),
    "Could not resolve hostname": ("no host of that name", "check 'host' in the devices file"),
    "Connection refused": ("nothing listens there", "start sshd on the board, or check 'port'"),
    "timed out": ("it does not answer", "check that the board is up and the network reaches it"),
    "No route to host": ("there is no route to it", "check that the board is up, and the network"),
    "Bad configuration option": ("ssh cannot read its configuration", "check the file: {words}"),
}


class SshSettings(BoardSettings):
    """What the devices file says of a board behind ssh."""

    host: StrictStr = Field(description="host name, address, or a Host of ssh's configuration")
    user: StrictStr | None = Field(None, description="login name; ssh's configuration otherwise")
    port: StrictInt | None = Field(None, ge=1, le=65535, description="port, likewise")
    config: StrictStr | None = Field(None, description="ssh configuration file (ssh -F)")

    @field_validator("host")
    @classmethod
    def _a_host(cls, text: str) -> str:
        if not HOST.fullmatch(text):
            raise ValueError(f"{text!r} is not a host name")
        return text

    @field_validator("user")
    @classmethod
    def _a_user(cls, text: str | None) -> str | None:
        if text is not None and not USER.fullmatch(text):
            raise ValueError(f"{text!r} is not a login name")
        return text


class SshLink:
    """One connection: the words of ssh, and its socket's folder."""

    def __init__(self, name: str, settings: SshSettings, ssh: str, folder: Path) -> None:
        self._name, self._settings, self._ssh, self._folder = name, settings, ssh, folder

    def first(self, line: str) -> list[str]:
        return self._words(line, "ControlMaster=yes")

    def next(self, line: str) -> list[str]:
        return self._words(line, "ControlMaster=no", "ProxyCommand=false")  # none but the master's

    def explain(self, code: int | None, words: str) -> UnreachableError | None:
        """What ssh's last words mean."""
        if code != FAILED:
            return None
        by_hand = " ".join(["ssh", *self._where()])
        for sign, (what, hint) in SAID.items():
            if sign in words:
                return UnreachableError(
                    f"cannot connect to {self._settings.host}: {what}",
                    where=self._name,
                    hint=hint.format(by_hand=by_hand, words=words[-300:]),
                )
        return UnreachableError(
            f"the connection to {self._settings.host} broke or was never made",
            where=self._name,
            hint=f"ssh says: {words[-600:]}" if words else f"try it by hand: {by_hand}",
        )

    def _words(self, line: str, *more: str) -> list[str]:
        options = (*OPTIONS, f"ControlPath={self._folder}/s", *more)
        front = [self._ssh, "-T", *(word for option in options for word in ("-o", option))]
        return [*front, *self._where(), line]

    def _where(self) -> list[str]:
        given = self._settings
        config = ["-F", str(Path(given.config).expanduser())] if given.config else []
        port = ["-p", str(given.port)] if given.port else []
        user = ["-l", given.user] if given.user else []
        return [*config, *port, *user, "--", given.host]


class SshDevice(BoardDevice):
    """A board that is reached by ssh; the devices file says where it is."""

    kind: ClassVar[str] = "ssh"
    Settings: ClassVar[type[SshSettings]] = SshSettings

    def __init__(self, name: str) -> None:
        self._ssh = settings_of(name, SshSettings)
        super().__init__(name, self._ssh)

    @contextlib.contextmanager
    def link(self) -> Iterator[SshLink]:
        """A private folder for the socket, short enough for one."""
        client = shutil.which("ssh")
        if client is None:
            raise DeviceError(
                "no ssh on this machine", where=self.name, hint="install the OpenSSH client"
            )
        below = tempfile.gettempdir()
        folder = Path(tempfile.mkdtemp(prefix="eo-", dir=below if len(below) < LONGEST else "/tmp"))
        try:
            yield SshLink(self.name, self._ssh, client, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


DEVICE = SshDevice
