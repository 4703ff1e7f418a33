"""One candidate on its way through a run: what was made, measured and found of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.parity import Parity
from edgeopt.schema.plan import Candidate
from edgeopt.schema.target import Target, TargetFacts


@dataclass
class Entry:
    """One candidate on its way through a run."""

    plan: Candidate
    target: Target
    facts: TargetFacts
    artifact: Artifact | None = None
    description: Description | None = None
    error: dict[str, str] | None = None
    measured: dict[str, Measurement] = field(default_factory=dict)
    ratios: dict[str, dict[str, Measurement]] = field(default_factory=dict)  # by kind of race
    beside: dict[str, Measurement] = field(default_factory=dict)  # the reference's own, last race
    timed_beside: str = ""  # of the reference: whose race its times are of
    duels: dict[str, Measurement] = field(default_factory=dict)  # other id -> this over other
    placement: dict[str, int] = field(default_factory=dict)
    parity: dict[tuple[str, str], Parity] = field(default_factory=dict)
    conversion: Conversion | None = None  # what passes did to its number format
    raced: str = ""  # the last race: short, full, final, count

    @property
    def made(self) -> Description:
        """What it is, as read from its file, or else as planned."""
        return self.description or self.plan.description

    def keep(self, parity: Parity) -> None:
        """Keep what was found of a device against a yardstick, in place of what was."""
        self.parity[parity.device, parity.yardstick] = parity

    def stand_beside(self, other: Entry) -> None:
        """As the reference: exactly 1.00x, with its times of the last race beside another."""
        self.measured |= other.beside
        self.measured |= at_one(name for found in other.ratios.values() for name in found)
        far = other.target.runtime != self.target.runtime
        self.timed_beside = other.plan.label + (f" in {other.target.runtime}" if far else "")


def at_one(ratios: Iterable[str]) -> dict[str, Measurement]:
    """The reference's ratios to itself: exact."""
    how = "the reference itself: exactly 1"
    return {name: Measurement(quantity=name, value=1.0, unit="x", protocol=how) for name in ratios}
