"""The status of an entry in the result, and the reason for it in words."""

from __future__ import annotations

from edgeopt.decide.choose import worst
from edgeopt.decide.proof import lost_to, reference_lost_to
from edgeopt.pipeline.contending import Contending
from edgeopt.pipeline.decision import Decision, told_error
from edgeopt.pipeline.measure import Entry
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import CandidateStatus
from edgeopt.schema.shown import whole

AGAINST = "the reference, which all others race against"
UNMEASURED = {
    "built": "built and checked, not measured",
    "unreachable": "the device was lost before it was decided",
    "failed": "not measured: nothing could be decided on this target",
}


def standing_of(
    contest: Contending, entry: Entry, decision: Decision
) -> tuple[CandidateStatus, str]:
    """Status and reason; the reference's tells which race its time is of."""
    status, reason = _standing(contest, entry, decision)
    if entry is contest.reference and entry.timed_beside and status != "failed":
        reason += f"; its time is from its race against {entry.timed_beside}"
    return status, reason


def _standing(contest: Contending, entry: Entry, decision: Decision) -> tuple[CandidateStatus, str]:
    if entry.error is not None:
        return "failed", told_error(entry.error)
    if decision.verdict in UNMEASURED:
        return "unmeasured", UNMEASURED[decision.verdict]
    if entry is decision.chosen:
        return "chosen", decision.sentence.removeprefix(f"{contest.name(entry)} is ")
    if not entry.plan.eligible:
        return "reference", f"the source converted, nothing else: {AGAINST}"
    stands, bad = contest.stands(entry), worst(contest.verdicts.get(entry.plan.id, ()))
    if stands == "infeasible" and bad:
        return "infeasible", bad.sentence
    if stands == "inconclusive" and bad:
        return "inconclusive", bad.sentence
    if decision.chosen is None or not entry.raced:
        return "unmeasured", "not raced: the time limit was reached"
    if entry.raced == "short" and not contest.quick:
        if entry is contest.reference:
            return "screened", f"{AGAINST}; not among the fastest {contest.finalists}"
        told = _told(entry.measured["ratio.latency.p50"])
        ahead = f"not among the fastest {contest.finalists} in the short race"
        return "screened", f"{ahead}, so not raced in full: {told}"
    chosen = decision.chosen
    direct, found = contest.direct(entry, chosen), contest.proven(chosen, entry)
    if entry is contest.reference and direct is not None:
        return "lost", reference_lost_to(contest.objective, entry.measured, chosen.measured, found)
    return "lost", lost_to(contest.objective, entry.measured, chosen.measured, direct, found)


def _told(ratio: Measurement) -> str:
    return f"{whole(ratio)} the reference's p50 latency"
