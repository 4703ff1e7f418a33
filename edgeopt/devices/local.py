"""This machine: agents run by the Python that edgeopt runs on."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from edgeopt import cpuid
from edgeopt.agent import machine
from edgeopt.cpuid import copies
from edgeopt.schema.errors import DeviceError, UsageError
from edgeopt.schema.runtime import runtime_named
from edgeopt.schema.target import HERE, ISAS, Target, TargetFacts
from edgeopt.transport.here import Here


class LocalDevice(Here):
    """The machine that edgeopt runs on; ``local:avx2`` as a CPU without newer instructions.

    ``python`` is an interpreter of another environment, with other runtimes, for the agents.
    """

    def __init__(self, name: str = HERE, python: Path | None = None) -> None:
        kind, _, self._isa = name.partition(":")
        if kind != HERE or (self._isa and self._isa not in ISAS):
            raise UsageError(f"this machine is called '{HERE}', not '{name}'", where=name)
        super().__init__(name, python)

    def facts(self, target: Target) -> TargetFacts:
        """What the machine and the runtime are, without what is hidden. Raises DeviceError."""
        facts = super().facts(target)
        if not self._hides:
            return facts
        copied = [folder.name.rpartition("-")[0] for folder in copies.copies()]
        if not any(name in copied for name in copies.modules(runtime_named(target.runtime))):
            raise DeviceError(
                f"nothing can be hidden from {target.runtime}: it is larger than is copied",
                where=str(target),
            )
        seen = cpuid.left(self._isa, facts.features)
        isa = f"x86_64-{self._isa}"
        return facts.model_copy(update={"isa": isa, "features": seen})

    @cached_property
    def _hides(self) -> bool:
        """Whether there is anything to hide. Raises DeviceError for a CPU that has even less."""
        if not self._isa:
            return False
        found = machine.facts()
        older = cpuid.is_older(self._isa, found["features"])
        if older is None:
            raise DeviceError(
                f"this machine ({found['isa']}) cannot stand for one with {self._isa}",
                where=self.name,
            )
        return older

    def _variables(self) -> dict[str, str]:
        return copies.environment(cpuid.in_words(self._isa)) if self._hides else {}

    @property
    def told(self) -> str:
        """What a run notes of it."""
        if not self._isa:
            return ""
        if self._hides:
            return f"instructions newer than {self._isa} are hidden from the runtimes"
        return f"this machine has {self._isa} and nothing newer: nothing is hidden"


DEVICE = LocalDevice
