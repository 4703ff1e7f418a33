"""The status of a candidate in the result, and the reason for it in words."""

from __future__ import annotations

from edgeopt.decide.choose import worst
from edgeopt.decide.decision import Decision, error_in_words
from edgeopt.decide.proof import by_reference, is_raced, lost_to, reference_lost_to
from edgeopt.decide.standings import Standings
from edgeopt.schema.result import CandidateStatus

AGAINST = "the reference, which all others race against"
UNMEASURED = {
    "built": "built and checked, not measured",
    "unreachable": "the device was lost before it was decided",
    "failed": "not measured: nothing could be decided on this target",
}


def standing_of(standings: Standings, id: str, decision: Decision) -> tuple[CandidateStatus, str]:
    """Status and reason; the reference's tells which race its time is of."""
    status, reason = _standing(standings, id, decision)
    beside = standings.ledger[id].timed_beside
    if id == standings.reference and beside and status != "failed":
        race = "fresh race" if standings.ledger[id].timed_in == "final" else "race"
        reason += f"; its time is from its {race} against {beside}"
    return status, reason


def _standing(standings: Standings, id: str, decision: Decision) -> tuple[CandidateStatus, str]:
    record = standings.ledger[id]
    if record.error is not None:
        return "failed", error_in_words(record.error)
    if decision.verdict in UNMEASURED:
        return "unmeasured", UNMEASURED[decision.verdict]
    if id == decision.chosen:
        return "chosen", decision.sentence.removeprefix(f"{standings.name(id)} is ")
    if not record.entry.plan.eligible:
        return "reference", f"the source converted, nothing else: {AGAINST}"
    stands, bad = standings.stands(id), worst(standings.verdicts.get(id, ()))
    if stands == "infeasible" and bad:
        return "infeasible", bad.sentence
    if stands == "inconclusive" and bad:
        return "inconclusive", bad.sentence
    if decision.chosen is None or (standings.terms.raced and not record.raced):
        return "unmeasured", "not raced: the time limit was reached"
    if _is_screened(standings, id, decision.chosen):
        return "screened", _why_screened(standings, id, decision.chosen)
    return "lost", _why_lost(standings, id, decision.chosen)


def _is_screened(standings: Standings, id: str, chosen: str) -> bool:
    """Whether short races proved it slower, and it went no further."""
    terms, raced = standings.terms, standings.ledger[id].raced
    if id == standings.reference or raced != "short" or terms.quick:
        return False
    if not is_raced(terms.objective) or standings.direct(id, chosen) is not None:
        return False
    return standings.proven(chosen, id) == "proven"


def _why_screened(standings: Standings, id: str, chosen: str) -> str:
    """The whole interval of its ratio to the chosen lies above 1."""
    mine, theirs = standings.in_one_kind_of_race(id, chosen)
    assert mine is not None and theirs is not None
    told = by_reference(standings.terms.objective, mine, theirs, "the chosen's")
    return f"slower in short races: {told}"


def _why_lost(standings: Standings, id: str, chosen: str) -> str:
    mine, theirs = (dict(standings.ledger[each].measured) for each in (id, chosen))
    direct, proven = standings.direct(id, chosen), standings.proven(chosen, id)
    objective = standings.terms.objective
    for measured, of_kind in zip((mine, theirs), standings.in_one_kind_of_race(id, chosen),
                                 strict=True):  # fmt: skip
        if of_kind is not None and of_kind.quantity == f"ratio.{objective}":
            measured[of_kind.quantity] = of_kind
    if id == standings.reference and direct is not None:
        return reference_lost_to(objective, mine, theirs, proven)
    return lost_to(objective, mine, theirs, direct, proven)
