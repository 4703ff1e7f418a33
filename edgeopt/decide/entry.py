"""One candidate as it was built: what runs where, or the error that stopped it."""

from __future__ import annotations

from dataclasses import dataclass

from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.plan import Candidate
from edgeopt.schema.target import Target, TargetFacts


@dataclass(frozen=True)
class Entry:
    """One candidate as it was built; what is measured of it is in the ledger."""

    plan: Candidate
    target: Target
    facts: TargetFacts
    artifact: Artifact | None = None
    description: Description | None = None  # as read from its file
    error: dict[str, str] | None = None

    @property
    def id(self) -> str:
        """The candidate's id, by which it is known from now on."""
        return self.plan.id

    @property
    def described(self) -> Description:
        """What it is, as read from its file, or else as planned."""
        return self.description or self.plan.description
