"""How an agent comes to be on a board that has nothing of ours, and why one does not."""

from __future__ import annotations

import shlex
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from edgeopt.schema.errors import DeviceError, EdgeoptError, UnreachableError
from edgeopt.transport.channel import Channel
from edgeopt.transport.pack import agent_archive, agent_digest

PATIENCE_S = 15.0  # for the end of what runs there, over a slow line

# Runs before anything of ours is there, in whatever Python it finds: it takes the agent from
# standard input, keeps it under its digest, and becomes it.
BOOT = """\
import sys
def end(said):
    sys.stderr.write("edgeopt: " + said + "\\n")
    sys.exit(78)
if sys.version_info < (3, 8):
    end("Python %d.%d.%d is too old" % sys.version_info[:3])
import hashlib, os
try:
    import numpy
except ImportError as error:
    end("no numpy: %s" % error)
size, digest, work = int(sys.argv[1]), sys.argv[2], os.path.expanduser(sys.argv[3])
data = b""
while len(data) < size:
    part = os.read(0, size - len(data))
    if not part:
        end("the agent did not arrive whole")
    data += part
if hashlib.sha256(data).hexdigest() != digest:
    end("the agent arrived corrupted")
path = os.path.join(work, "agent-%s.pyz" % digest[:16])
try:
    os.makedirs(work, 0o700, exist_ok=True)
    try:
        with open(path, "rb") as file:
            there = file.read() == data
    except FileNotFoundError:
        there = False
    if there:
        os.utime(path)
    else:
        made = "%s.%d" % (path, os.getpid())
        try:
            with open(made, "wb") as file:
                file.write(data)
            os.replace(made, path)
        finally:
            if os.path.exists(made):
                os.unlink(made)
except OSError as error:
    end("cannot write: %s: %s" % (error.strerror, work))
import runpy
sys.argv = [path, "--keep", work]
runpy.run_path(path, run_name="__main__")
"""


class Link(Protocol):
    """A connection: how to run a line there, and what it means that it broke."""

    def first(self, line: str) -> list[str]:
        """The command that connects and runs a line; the connection lasts as long as it."""

    def next(self, line: str) -> list[str]:
        """The command that runs one more line over the same connection."""

    def explain(self, code: int | None, words: str) -> EdgeoptError | None:
        """Why a command that was to connect ended; None where that is not the link's doing."""


SAID = {  # of the boot, or of a shell: what it means and what to do
    "is too old": ("Python there is too old: {line}",
                   "name Python 3.8 or later under 'python' in the devices file"),
    "no numpy": ("Python there has no numpy: {line}",
                 "install it, or name another Python under 'python' in the devices file"),
    "arrived corrupted": ("the agent arrived corrupted", "check the connection and try again"),
    "did not arrive whole": ("the connection broke while the agent was sent", "try again"),
    "cannot write": ("no place for uploads: {line}",
                     "free some space there, or point 'workdir' in the devices file elsewhere"),
}  # fmt: skip


def start_supervisor(
    name: str,
    line: Callable[..., str],
    work: str,
    link: Link,
    log: Path,
    cancelled: threading.Event | None,
) -> Channel:
    """Connect, send the agent and have it hold the board. Raises UnreachableError, DeviceError.

    ``line`` makes a line for a shell there of Python's words; ``work`` is the folder there.
    """
    data = agent_archive()
    words = [shlex.quote(BOOT), str(len(data)), agent_digest()]
    asked = line("-c", *words, shlex.quote(work))
    process = start(name, link.first(asked), log)

    def explain(code: int | None, words: str) -> EdgeoptError | None:
        error = explained(name, code, words) or link.explain(code, words)
        return error or (lost(name) if code in (255, -9, -15) else None)

    channel = Channel(process, name, log, cancelled, patience_s=PATIENCE_S, explain=explain)
    try:
        channel.give(data, "connect")
    except BaseException:
        channel.kill()
        raise
    return channel


def start(
    name: str, command: list[str], log: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A command on this machine, in a session of its own. Raises DeviceError."""
    try:
        with log.open("ab") as errors:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                bufsize=0,
                env=env,
            )
    except (OSError, ValueError) as error:  # no such command; a NUL in it, or "=" in a variable
        raise DeviceError(
            f"cannot start {command[0]!r}: {getattr(error, 'strerror', None) or error}", where=name
        ) from error


def agent_name() -> str:
    """What the agent's file is called on a board."""
    return f"agent-{agent_digest()[:16]}.pyz"


def at_home(path: str) -> str:
    """A path as one word for a shell there; ``~/`` is the home it knows."""
    rest = path.removeprefix("~/")
    return f'"$HOME"/{shlex.quote(rest)}' if rest != path else shlex.quote(path)


def explained(name: str, code: int | None, words: str) -> EdgeoptError | None:
    """What the board's own words mean, where they are known."""
    for line in words.splitlines():
        said = line.removeprefix("edgeopt: ")
        for sign, (what, hint) in SAID.items():
            if said != line and sign in said:
                return UnreachableError(what.format(line=said[:300]), where=name, hint=hint)
    if code in (126, 127):
        return UnreachableError(
            f"no Python there: {words.splitlines()[-1][:300] if words else 'command not found'}",
            where=name,
            hint="install Python 3.8 or later, or name it under 'python' in the devices file",
        )
    return None


def lost(name: str) -> UnreachableError:
    return UnreachableError(
        "the connection was lost",
        where=name,
        hint="check that the board is up and its network steady, then run it again",
    )
