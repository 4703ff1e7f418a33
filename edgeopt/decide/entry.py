"""One candidate as it was built: what runs where, or the error that stopped it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.plan import Candidate
from edgeopt.schema.target import Target, TargetFacts, parse_target


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

    def under(self, settings: Iterable[tuple[str, str]]) -> Entry:
        """The same under other settings of its target. Raises UsageError for unknown ones."""
        return replace(self, target=self.target.under(dict(settings)))

    @property
    def settings(self) -> dict[str, str]:
        """Settings of its target that were found by measuring: the plan does not name them."""
        planned = parse_target(self.plan.target).choices
        return {n: v for n, v in self.target.choices.items() if planned.get(n) != v}

    @property
    def described(self) -> Description:
        """What it is, as read from its file, or else as planned."""
        return self.description or self.plan.description
