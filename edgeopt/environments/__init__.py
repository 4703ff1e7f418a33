"""Tool environments: a Python of their own for libraries whose pins clash with all others.

Each is declared by one file here, ``NAME.txt``: requirements pinned to the last one, under two
comment lines that say which Python they want and what they are for. A pass whose ``worker`` is
such a name runs in a worker of that environment. Nothing here makes one: see ``making``.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import platformdirs

from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import UsageError, did_you_mean
from edgeopt.schema.floor import Floor, parse_floor
from edgeopt.schema.runtime import runtime_named, runtimes

HOME = Path(__file__).parent
READY = "edgeopt-ready.json"  # written last: a folder without it is not an environment
SAID = re.compile(r"#\s*(python|for):\s*(.+)")
NUMPY_1, NUMPY_2 = "1.26.4", "2.2.6"  # old runtimes know no numpy 2; Python 3.13 no other
PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==([\w.!+-]+)")


@dataclass(frozen=True)
class Environment:
    """One that is declared: ``file`` holds its pins."""

    name: str
    file: Path

    @cached_property
    def _lines(self) -> list[str]:
        return [line.strip() for line in self.file.read_text().splitlines() if line.strip()]

    def _said(self, key: str) -> str:
        found = (SAID.match(line) for line in self._lines)
        return next((m[2] for m in found if m and m[1] == key), "")

    @property
    def python(self) -> str:
        """The version of Python that the pins want, such as ``3.12``."""
        return self._said("python")

    @property
    def purpose(self) -> str:
        """What it is for, in a few words."""
        return self._said("for")

    @cached_property
    def pins(self) -> dict[str, str]:
        """Distribution -> version, in the order of the file. Raises ValueError for another line."""
        wanted = [line for line in self._lines if not line.startswith("#")]
        pins = {}
        for line in wanted:
            pin = PIN.fullmatch(line)
            if pin is None:
                raise ValueError(f"{self.file}: '{line}' is not NAME==VERSION")
            pins[pin[1]] = pin[2]
        return pins

    @property
    def digest(self) -> str:
        """Of Python's version and the pins: a part of the keys of what runs there."""
        return digest_of({"python": self.python, "pins": self.pins})

    @property
    def folder(self) -> Path:
        """Where it is made: other pins make another one beside it."""
        return home() / f"{self.name}-{self.digest[:12]}"

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def is_made(self) -> bool:
        """Whether all of it is there."""
        return (self.folder / READY).is_file() and self.interpreter.exists()


def home() -> Path:
    """The folder of all that are made, in the user's cache folder."""
    return platformdirs.user_cache_path("edgeopt") / "environments"


@cache
def environments() -> dict[str, Environment]:
    """All that are declared, by name."""
    return {file.stem: Environment(file.stem, file) for file in sorted(HOME.glob("*.txt"))}


def floor_environment(floor: Floor) -> Environment:
    """One that holds a version of a runtime and numpy, for the Python that runs now.

    Its file of pins lies beside the environments. Raises OSError where it cannot be written.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    library = runtime_named(floor.runtime).library
    numpy = NUMPY_2 if sys.version_info >= (3, 13) else NUMPY_1
    text = (
        f"# python: {python}\n# for: holding files against {floor}\n"
        f"{library}=={floor.version}\nnumpy=={numpy}\n"
    )
    file = home() / "floors" / f"{floor.runtime}-{floor.version}.txt"
    if not file.is_file() or file.read_text() != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        rough = file.with_suffix(f".{os.getpid()}")
        rough.write_text(text)
        rough.replace(file)
    return Environment(file.stem, file)


def _floor_named(name: str) -> Floor | None:
    runtime, _, version = name.rpartition("-")
    if runtime not in runtimes() or not runtimes()[runtime].reads:
        return None
    return parse_floor(runtime, f">={version}")


def environment(name: str) -> Environment:
    """The one of that name. Raises UsageError where none is declared."""
    known = environments()
    if (floor := _floor_named(name)) is not None:
        return floor_environment(floor)
    if name not in known:
        raise UsageError(
            f"there is no tool environment '{name}'",
            hint=did_you_mean(name, known) or f"there are: {', '.join(known)}",
        )
    return known[name]
