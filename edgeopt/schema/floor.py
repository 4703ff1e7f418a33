"""The oldest version of a runtime that files must run in, as a recipe asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from edgeopt.schema.errors import UsageError
from edgeopt.schema.runtime import runtime_named, runtimes

GRAMMAR = re.compile(r">=\s*(\d+\.\d+)(\.\d+)?")


class Floor(NamedTuple):
    """``version`` of ``runtime`` has three numbers: 1.17 is 1.17.0."""

    runtime: str
    version: str

    def __str__(self) -> str:
        return f"{self.runtime} {self.version}"

    @property
    def reads(self) -> Mapping[str, int]:
        """The newest opset, and so on, of files that it reads: that of the next older known."""
        known = runtime_named(self.runtime).reads
        return known[max((v for v in known if _numbers(v) <= _numbers(self.version)), key=_numbers)]

    def refuses(self, needs: Mapping[str, int]) -> str:
        """What it does not read of what a file needs; empty where it reads all."""
        over = [
            f"{kind} {needs[kind]} is newer than {most}"
            for kind, most in self.reads.items()
            if needs.get(kind, 0) > most
        ]
        return (
            f"{self}, the oldest that it must run in, does not read it: {', '.join(over)}"
            if over
            else ""
        )


def parse_floor(runtime: str, text: str) -> Floor:
    """``>=1.17``. Raises UsageError for another form, and for what nothing is known of."""
    known = runtime_named(runtime).reads
    if not known:
        told = [name for name, each in runtimes().items() if each.reads]
        raise UsageError(
            f"nothing is known of versions of {runtime}",
            hint=f"a floor can be asked for of: {', '.join(told)}",
        )
    found = GRAMMAR.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"'{text}' is no oldest version", hint=f"e.g. {runtime}: '>=1.17'")
    version = found[1] + (found[2] or ".0")
    oldest = min(known, key=_numbers)
    if _numbers(version) < _numbers(oldest):
        raise UsageError(
            f"{runtime} {version} is older than {oldest}, the first that is known of",
            hint=f"ask for '>={oldest}' or later",
        )
    return Floor(runtime, version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
