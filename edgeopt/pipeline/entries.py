"""From a plan and what became of its jobs to the entries of a target."""

from __future__ import annotations

from collections.abc import Mapping

from edgeopt.pipeline.measure import Entry
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.job import Outcome
from edgeopt.schema.plan import Plan
from edgeopt.schema.target import TargetGroup


def entries_of(
    plan: Plan, group: TargetGroup, outcomes: Mapping[str, Outcome]
) -> tuple[list[Entry], Entry, list[str]]:
    """The entries of a target, equal files merged into the first, and the reference.

    What could not be made, the reference too, has its ``error``.
    """
    entries: list[Entry] = []
    notes: list[str] = []
    by_digest: dict[tuple[str, str], Entry] = {}
    reference: Entry | None = None
    members = {str(target): (target, facts) for target, facts in group.members}
    for candidate in plan.candidates:
        if candidate.group != str(group):
            continue
        target, facts = members[candidate.target]
        entry = Entry(candidate, target, facts)
        ended = outcomes[candidate.job]
        checked = outcomes[candidate.check] if candidate.check else ended
        if ended.ok and checked.ok:
            entry.artifact = Artifact.model_validate(ended.value["artifact"])
            entry.description = Description.model_validate(ended.value["description"])
            twin = by_digest.setdefault((candidate.target, entry.artifact.digest), entry)
        else:
            entry.error, twin = (checked if ended.ok else ended).error or {}, entry
        if twin is not entry:
            notes.append(f"{candidate.label} came to the same file as {twin.plan.label}")
            twin.plan = twin.plan.model_copy(
                update={
                    "eligible": twin.plan.eligible or candidate.eligible,
                    "reference": twin.plan.reference or candidate.reference,
                }
            )
        else:
            entries.append(entry)
        if candidate.reference:
            reference = twin
    assert reference is not None, "the planner gives every target a reference"
    return entries, reference, notes
