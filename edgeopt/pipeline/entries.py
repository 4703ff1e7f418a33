"""From a plan and what became of its jobs to the entries of a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgeopt.decide.entry import Entry
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.job import Outcome
from edgeopt.schema.plan import Candidate, Plan
from edgeopt.schema.target import TargetGroup


def entries_of(
    plan: Plan, group: TargetGroup, outcomes: Mapping[str, Outcome]
) -> tuple[list[Entry], str, list[str]]:
    """The entries of a target, equal files merged into the first, and the reference's id.

    What could not be made, the reference too, has its ``error``.
    """
    entries: dict[str, Entry] = {}
    notes: list[str] = []
    first_of: dict[tuple[str, str], str] = {}  # (target, digest) -> candidate id
    reference = ""
    members = {str(target): (target, facts) for target, facts in group.members}
    for candidate in plan.candidates:
        if candidate.group != str(group):
            continue
        entry = built(Entry(candidate, *members[candidate.target]), outcomes)
        id = entry.id
        if entry.artifact is not None:
            id = first_of.setdefault((candidate.target, entry.artifact.digest), id)
        if id == entry.id:
            entries[id] = entry
        else:
            twin = entries[id]
            notes.append(f"{candidate.label} gave the same file as {twin.plan.label}")
            entries[id] = replace(twin, plan=_merged(twin.plan, candidate))
        if candidate.reference:
            reference = id
    assert reference, "the planner gives every target a reference"
    return list(entries.values()), reference, notes


def built(entry: Entry, outcomes: Mapping[str, Outcome]) -> Entry:
    """The entry with what its job made, or with the error of it or of its check."""
    ended = outcomes[entry.plan.job]
    checked = outcomes[entry.plan.check] if entry.plan.check else ended
    if not ended.ok or not checked.ok:
        return replace(entry, error=(checked if ended.ok else ended).error or {})
    return replace(
        entry,
        artifact=Artifact.model_validate(ended.value["artifact"]),
        description=Description.model_validate(ended.value["description"]),
    )


def _merged(kept: Candidate, twin: Candidate) -> Candidate:
    """A candidate that also stands for another one of the same file."""
    return kept.model_copy(
        update={
            "eligible": kept.eligible or twin.eligible,
            "reference": kept.reference or twin.reference,
        }
    )
