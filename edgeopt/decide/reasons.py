"""The status of a candidate in the result, and the reason for it in words."""

from __future__ import annotations

from edgeopt.decide.choose import worst
from edgeopt.decide.decision import Decision, error_in_words
from edgeopt.decide.proof import is_raced, lost_to, reference_lost_to
from edgeopt.decide.standings import FINALISTS, Standings
from edgeopt.schema.quantities import title_of
from edgeopt.schema.result import CandidateStatus
from edgeopt.schema.shown import whole

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
        reason += f"; its time is from its race against {beside}"
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
    if decision.chosen is None or not record.raced:
        return "unmeasured", "not raced: the time limit was reached"
    if record.raced == "short" and not standings.terms.quick:
        return "screened", _why_screened(standings, id)
    return "lost", _why_lost(standings, id, decision.chosen)


def _why_screened(standings: Standings, id: str) -> str:
    """Finalists are the first by the objective, whether it is speed or not."""
    terms = standings.terms
    speed = is_raced(terms.objective)
    ahead = f"not among the {'fastest' if speed else 'best'} {FINALISTS}"
    if not speed:
        ahead += f" by {terms.objective}"
    if id == standings.reference:
        return f"{AGAINST}; {ahead}"
    shown = terms.objective if speed else terms.ratio.removeprefix("ratio.")
    ratio = whole(standings.ledger[id].measured[f"ratio.{shown}"])
    place = " in the short race" if speed else ""
    return f"{ahead}{place}, so not raced in full: {ratio} the reference's {title_of(shown)}"


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
