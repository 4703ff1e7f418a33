"""How a selection ends: the choice proven on test, nobody, or a target on which nothing worked."""

from __future__ import annotations

from typing import Any

from edgeopt.decide.choose import judge_all, nearest_miss, standing, worst
from edgeopt.decide.decision import Decision, error_in_words, one_line
from edgeopt.decide.elimination import MOST
from edgeopt.decide.events import Figures
from edgeopt.decide.proof import Rival, beside, praise
from edgeopt.decide.standings import Standings
from edgeopt.schema.base import counted
from edgeopt.schema.errors import PlacementError, UnreachableError, is_loss
from edgeopt.schema.result import TargetVerdict

NOT_RACED = "no race was run and no time was taken"
NOT_TESTED = "not tested: the data has no test split"


def failed(standings: Standings) -> Decision | None:
    """A decision where nothing can be chosen, because of errors; None where something can."""
    broken = standings.ledger[standings.reference].error
    if broken is not None:
        name = standings.name(standings.reference)
        return Decision("failed", f"the reference {name} failed: {_error_line(broken)}")
    errors = [(id, standings.ledger[id].error) for id in standings.eligible()]
    if not errors or not all(error is not None for _, error in errors):
        return None
    first, error = errors[0]
    failure = f"{standings.name(first)}: {_error_line(error or {})}"
    return Decision("failed", f"every candidate failed; the first: {failure}")


def built(standings: Standings) -> Decision:
    """The decision where nothing is to be measured."""
    count = sum(not standings.failed(id) for id in standings.eligible())
    sentence = f"{counted(count, 'candidate')} built and checked; nothing was measured"
    return failed(standings) or Decision("built", sentence)


def _error_line(error: dict[str, str]) -> str:
    """An error in one line, with what to do next."""
    hint = error.get("hint", "")
    return one_line(error_in_words(error) + (f" ({hint})" if hint else ""))


def praised(standings: Standings, chosen: str) -> str:
    """What is proven of the chosen, against all that meet the constraints or may meet them."""
    order = standings.order(standings.standing_as("feasible", "pending"))
    rivals = [_rival(standings, chosen, id) for id in order if id != chosen]
    terms = standings.terms
    said = praise(standings.name(chosen), terms.objective, rivals, terms.quick)
    return said if terms.raced else f"{said}; {NOT_RACED}"


def _rival(standings: Standings, chosen: str, id: str) -> Rival:
    """Another that meets the constraints, or may meet them, as seen from the chosen."""
    figures = standings.in_one_kind_of_race(chosen, id)
    places = standings.places((chosen, id))
    (size, mine), (other, theirs) = places[chosen], places[id]
    proven = standings.proven(chosen, id)
    told = beside(standings.terms.objective, standings.direct(chosen, id), *figures)
    ratio = standings.ratio_of(id, chosen)
    if proven == "tie" and ratio and (other, theirs) < (size, mine):
        first = "smaller" if other < size else f"better by {standings.metric}"
        told += f"; it is {first}, but may take {ratio.interval[1] - 1:.1%} longer"
    return Rival(
        standings.name(id),
        proven,
        smaller=None if size == other else size < other,
        raced=None not in figures,
        beside=told,
        exhausted=all(m is not None and m.n >= MOST for m in figures),
        no_better=standings.metric if size == other and mine <= theirs < float("inf") else "",
    )


def untested(claim: str, chosen: str) -> Decision:
    """The choice where the data has no test split; ``claim`` is what is proven of it."""
    return Decision("chosen", f"{claim}; {NOT_TESTED}", chosen, test={"not_tested": NOT_TESTED})


def tested(
    standings: Standings, claim: str, chosen: str, figures: Figures, source: Figures
) -> Decision:
    """The choice by what it and the source scored on the test split."""
    constraints = [c for c in standings.constraints(chosen) if c.quantity in figures]
    verdicts = judge_all(constraints, figures, source)
    test = {
        "n": standings.terms.test_samples,
        "measurements": {k: m.to_json() for k, m in figures.items()},
        "source": {k: m.to_json() for k, m in source.items()},
        "verdicts": [v.to_json() for v in verdicts],
    }
    stands = standing(constraints, verdicts)
    if stands == "feasible":
        how = (
            "it also meets the constraints on the test split"
            if verdicts
            else "no constraint concerns the test split"
        )
        return Decision("chosen", f"{claim}; {how}", chosen, test=test)
    bad = worst(verdicts)
    assert bad is not None
    word: TargetVerdict = "refused-on-test" if stands == "infeasible" else "inconclusive"
    sentence = f"{claim}, on validation; but on the test split: {bad.sentence}"
    return Decision(word, sentence, chosen, chosen, test)


def unscored(claim: str, chosen: str, error: dict[str, str]) -> Decision:
    """The winner gave no answers on the test split: its own fault, or that of what ran it."""
    if is_loss(error) or error.get("type") == PlacementError.__name__:
        note = one_line(f"not tested: {_how_lost(error)}{error.get('what', 'no reason is known')}")
        test: dict[str, Any] = {"not_tested": note, "error": error}
        return Decision("inconclusive", f"{claim}; {note}", chosen, chosen, test)
    sentence = one_line(f"{claim}, but it failed on the test split: {error.get('what', '')}")
    return Decision("refused-on-test", sentence, chosen, test={"error": error})


def _how_lost(error: dict[str, str]) -> str:
    """What was lost, in front of how."""
    if error.get("type") == UnreachableError.__name__:
        return "device lost: "
    return "worker lost: " if is_loss(error) else ""


def nobody(standings: Standings, *, late: bool) -> Decision:
    """Nothing meets the constraints: what came nearest, or why nothing could be measured."""
    missed = {id: standings.verdicts.get(id, ()) for id in standings.eligible()}
    near = nearest_miss(missed)
    if near is None:
        return failed(standings) or Decision(
            "inconclusive", f"no candidate could be measured: {_why(standings, late=late)}"
        )
    bad = worst(missed[near])
    assert bad is not None
    name = standings.name(near)
    if any(standings.stands(id) == "inconclusive" for id in standings.eligible()):
        opening = "no candidate is proven to meet the constraints; nearest"
        return Decision("inconclusive", f"{opening}: {name}: {bad.sentence}", nearest_miss=near)
    opening = "no candidate meets the constraints; nearest miss"
    return Decision("unmet", f"{opening}: {name}: {bad.sentence}", nearest_miss=near)


def _why(standings: Standings, *, late: bool) -> str:
    if late:
        return "time ran out"
    errors = (standings.ledger[id].error for id in standings.eligible())
    first = next((error for error in errors if error), None)
    return one_line(error_in_words(first)) if first else "time ran out"
