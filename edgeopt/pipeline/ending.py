"""How a contest ends: the choice proven on test, nobody, or a target on which nothing worked."""

from __future__ import annotations

from typing import Any

from edgeopt.decide.choose import judge_all, nearest_miss, standing, worst
from edgeopt.decide.proof import Rival, praise
from edgeopt.pipeline.contending import Contending
from edgeopt.pipeline.decision import Decision, one_line, told_error
from edgeopt.pipeline.measure import Entry
from edgeopt.schema.errors import DeviceError, PlacementError, WorkerError
from edgeopt.schema.result import TargetVerdict

LOST = {WorkerError.__name__, DeviceError.__name__, PlacementError.__name__}  # not the model's own


def failed(contest: Contending) -> Decision | None:
    """A decision where nothing can be chosen, because of errors; None where something can."""
    broken = contest.reference.error
    if broken is not None:
        name = contest.name(contest.reference)
        return Decision("failed", f"the reference {name} failed: {_told(broken)}")
    errors = [(entry, entry.error) for entry in contest.eligible()]
    if not errors or not all(error is not None for _, error in errors):
        return None
    first, error = errors[0]
    told = f"{contest.name(first)}: {_told(error or {})}"
    return Decision("failed", f"every candidate failed; the first: {told}")


def _told(error: dict[str, str]) -> str:
    """An error in one line, with what to do next."""
    hint = error.get("hint", "")
    return one_line(told_error(error) + (f" ({hint})" if hint else ""))


def praised(contest: Contending, chosen: Entry) -> str:
    """What is proven of the chosen, against all that meet the constraints or may meet them."""
    rivals = []
    for entry in contest.standing_as("feasible", "pending"):
        if entry is not chosen:
            mine, theirs = contest.in_one_kind_of_race(chosen, entry)
            found, sizes = (
                contest.proven(chosen, entry),
                (contest.size(chosen), contest.size(entry)),
            )
            smaller = None if sizes[0] == sizes[1] else sizes[0] < sizes[1]
            rivals.append(Rival(contest.name(entry), found, smaller, None not in (mine, theirs)))
    return praise(contest.name(chosen), contest.objective, rivals, contest.quick)


def tested(contest: Contending, chosen: Entry) -> Decision:
    """The choice, scored once on the test split where there is one."""
    split, bench = "test", contest.bench
    told = praised(contest, chosen)
    if split not in bench.known.raw:
        note = "not tested: the data has no test split"
        return Decision("chosen", f"{told}; {note}", chosen, test={"not_tested": note})
    contest.phase("Scoring the winner once on the test split")
    measured = bench.score([chosen], split)
    if chosen.plan.id not in measured:
        return _unscored(told, chosen)
    figures, source = measured[chosen.plan.id], measured["source"]
    constraints = [c for c in contest.constraints(chosen) if c.quantity in figures]
    verdicts = judge_all(constraints, figures, source)
    test = {
        "n": bench.known.raw[split].n,
        "measurements": {k: m.to_json() for k, m in figures.items()},
        "source": {k: m.to_json() for k, m in source.items()},
        "verdicts": [v.to_json() for v in verdicts],
    }
    stands = standing(constraints, verdicts)
    if stands == "feasible":
        how = "it holds on the test split" if verdicts else "no constraint concerns the test split"
        return Decision("chosen", f"{told}; {how}", chosen, test=test)
    bad = worst(verdicts)
    assert bad is not None
    word: TargetVerdict = "refused-on-test" if stands == "infeasible" else "inconclusive"
    sentence = f"{told}, on validation; but on the test split: {bad.sentence}"
    return Decision(word, sentence, chosen, chosen.plan.id, test)


def _unscored(told: str, chosen: Entry) -> Decision:
    """The winner gave no answers on the test split: its own fault, or that of what ran it."""
    error = chosen.error or {}
    if error.get("type") in LOST:
        note = one_line(f"not tested: {error.get('what', 'the worker was lost')}")
        test: dict[str, Any] = {"not_tested": note, "error": error}
        return Decision("inconclusive", f"{told}; {note}", chosen, chosen.plan.id, test)
    sentence = one_line(f"{told}, but it failed on the test split: {error.get('what', '')}")
    return Decision("refused-on-test", sentence, chosen, test={"error": error})


def nobody(contest: Contending) -> Decision:
    """Nothing meets the constraints: what came nearest, or why nothing could be measured."""
    missed = {e.plan.id: contest.verdicts.get(e.plan.id, ()) for e in contest.eligible()}
    near = nearest_miss(missed)
    if near is None:
        return failed(contest) or Decision(
            "inconclusive", f"no candidate could be measured: {_why(contest)}"
        )
    bad = worst(missed[near])
    assert bad is not None
    name = next(contest.name(e) for e in contest.entries if e.plan.id == near)
    if any(contest.stands(e) == "inconclusive" for e in contest.eligible()):
        told = "no candidate is proven to meet the constraints; nearest"
        return Decision("inconclusive", f"{told}: {name}: {bad.sentence}", nearest_miss=near)
    told = "no candidate meets the constraints; nearest miss"
    return Decision("unmet", f"{told}: {name}: {bad.sentence}", nearest_miss=near)


def _why(contest: Contending) -> str:
    if contest.late():
        return "time ran out"
    broken = next((e for e in contest.eligible() if e.error), None)
    return one_line(told_error(broken.error or {})) if broken else "time ran out"
