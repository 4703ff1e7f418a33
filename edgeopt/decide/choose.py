"""From verdicts and figures to a choice: who may win, in what order, and why others lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from edgeopt.decide.proof import TIE
from edgeopt.decide.verdict import judge
from edgeopt.schema.constraint import Constraint, Verdict
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.shown import less_is_better

Standing = Literal["feasible", "infeasible", "inconclusive", "pending"]


def judge_all(
    constraints: Iterable[Constraint],
    measured: Mapping[str, Measurement],
    source: Mapping[str, Measurement],
) -> tuple[Verdict, ...]:
    """A verdict for each constraint whose quantity has been measured.

    ``measured`` holds plain quantities and, under ``difference.Q`` and ``ratio.Q``, those
    against the source. A bound that names no output holds for every ``Q@OUTPUT``, and its verdict
    is that of the output which stands worst.
    """
    return tuple(
        _worst_output([_judged(each, measured, source) for each in _by_output(bound, measured)])
        for bound in constraints
        if bound.quantity in measured
    )


def _by_output(bound: Constraint, measured: Mapping[str, Measurement]) -> list[Constraint]:
    """The bound for each output that has its quantity, where there are several."""
    start = f"{bound.quantity}@"
    return [bound.of(q.removeprefix(start)) for q in measured if q.startswith(start)] or [bound]


def _judged(
    bound: Constraint, measured: Mapping[str, Measurement], source: Mapping[str, Measurement]
) -> Verdict:
    return judge(
        bound,
        measured.get(bound.quantity),
        source.get(bound.quantity),
        measured.get(f"difference.{bound.quantity}"),
        measured.get(f"ratio.{bound.quantity}"),
    )


def _worst_output(verdicts: Sequence[Verdict]) -> Verdict:
    return worst(verdicts) or min(verdicts, key=relative_margin)


def standing(constraints: Sequence[Constraint], verdicts: Sequence[Verdict]) -> Standing:
    """One ``fail`` decides, then one ``inconclusive``, then whether all have been judged."""
    words = {verdict.verdict for verdict in verdicts}
    if "fail" in words:
        return "infeasible"
    if "inconclusive" in words:
        return "inconclusive"
    return "feasible" if len(verdicts) == len(constraints) else "pending"


def objective_value(objective: str, measured: Mapping[str, Measurement]) -> float | None:
    """The figure that ranks a candidate, less is better; ratios where there are any."""
    measurement = measured.get(f"ratio.{objective}") or measured.get(objective)
    if measurement is None:
        return None
    return measurement.value if less_is_better(objective, measurement) else -measurement.value


def ranked(objective: str, measured: Mapping[str, Mapping[str, Measurement]]) -> list[str]:
    """Ids in the order of the objective, the unmeasured last; equal ones by size."""

    def place(id: str) -> tuple[float, float]:
        value = objective_value(objective, measured[id])
        size = measured[id].get("size")
        return (float("inf") if value is None else value, size.value if size else 0.0)

    return sorted(measured, key=place)


def first_of_ties(
    objective: str,
    measured: Mapping[str, Mapping[str, Measurement]],
    places: Mapping[str, tuple[float, ...]],
) -> list[str]:
    """Ranked ids, but those within 0.5% of the best come first, by their places."""
    order = ranked(objective, measured)
    best = objective_value(objective, measured[order[0]]) if order else None
    if best is None:
        return order

    def tied(id: str) -> bool:
        value = objective_value(objective, measured[id])
        return value is not None and abs(value - best) <= TIE * abs(best)

    ties = sorted(filter(tied, order), key=places.__getitem__)
    return ties + [id for id in order if id not in ties]


def worst(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict that stands in the way: the failed one missed by most, else inconclusive."""
    bad = [v for v in verdicts if v.verdict == "fail"] or [
        v for v in verdicts if v.verdict == "inconclusive"
    ]
    return min(bad, key=relative_margin, default=None)


def relative_margin(verdict: Verdict) -> float:
    """How far from its bound, relative to it, so that quantities can be compared."""
    return verdict.margin / (abs(verdict.bound) or 1.0)


def nearest_miss(verdicts: Mapping[str, Sequence[Verdict]]) -> str | None:
    """The candidate whose worst verdict is the least bad."""
    missed = {id: worst(judged) for id, judged in verdicts.items()}
    misses = {id: relative_margin(verdict) for id, verdict in missed.items() if verdict}
    return max(misses, key=lambda id: misses[id], default=None)
