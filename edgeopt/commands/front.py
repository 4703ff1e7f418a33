"""The Pareto fronts of a result that was kept: nothing is measured anew."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgeopt.decide.front import hypervolume, knee, pareto_front
from edgeopt.schema.errors import DataError, UsageError, did_you_mean
from edgeopt.schema.front import FrontPoint, Fronts, OneForAll, TargetFront
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import declared
from edgeopt.schema.result import CandidateResult, Result, TargetResult
from edgeopt.schema.shown import less_is_better

BEYOND = 0.1  # of an axis: so far beyond the worst lies what the hypervolume is up to
RATIO = "ratio."  # of races with the reference: times of two races do not compare


def fronts(result: Result, objectives: Sequence[str] = (), name: str = "") -> Fronts:
    """Fronts by several objectives, or by each target's objective and leading metric.

    Candidates that failed or break a bound are not on them. Raises UsageError for a quantity that
    nobody declares, or that no candidate of a target has.
    """
    objectives = list(dict.fromkeys(objectives))
    for quantity in objectives:
        declared(quantity, where="--objective")
    found = [_front(target, objectives) for target in result.targets if target.candidates]
    if not found:
        raise DataError("no target of the result was measured", where=name)
    return Fronts(result=name, targets=tuple(found), for_all=tuple(_for_all(result, found)))


def _front(target: TargetResult, objectives: Sequence[str]) -> TargetFront:
    axes = [_axis(target, name) for name in objectives or _usual(target)]
    left_out, held = dict[str, str](), list[CandidateResult]()
    for candidate in target.candidates:
        if why := _lacks(candidate, axes):
            left_out[target.named(candidate)] = why
        else:
            held.append(candidate)
    places = [_place(candidate, axes) for candidate in held]
    on = [index for index, kept in enumerate(pareto_front(places)) if kept]
    on.sort(key=lambda index: places[index])
    bend = knee([places[index] for index in on])
    points = tuple(
        FrontPoint(
            id=held[index].id,
            label=target.named(held[index]),
            target=held[index].target,
            digest=_digest(held[index]),
            figures={axis: held[index].comparable[axis] for axis in axes},
            chosen=held[index].id == target.chosen,
            knee=number == bend,
        )
        for number, index in enumerate(on)
    )
    return TargetFront(
        target=target.target, axes=tuple(axes), points=points, compared=len(held),
        hypervolume=_covered(places), left_out=left_out,
    )  # fmt: skip


def _usual(target: TargetResult) -> list[str]:
    """The objective, and what is shown first; size where these are the same."""
    names = dict.fromkeys((target.objective, target.metric, "size"))
    return [name for name in names if name][:2]


def _axis(target: TargetResult, name: str) -> str:
    """The figure of a quantity that compares across candidates. Raises UsageError for none."""
    known = {figure for c in target.candidates for figure in c.comparable}
    spelled = (name,) if name == "size" else (RATIO + name, name)
    for axis in spelled:
        if axis in known:
            return axis
    raise UsageError(
        f"no candidate of {target.target} has '{name}'",
        where="--objective",
        hint=did_you_mean(name, {each.removeprefix(RATIO) for each in known}),
    )


def _lacks(candidate: CandidateResult, axes: Sequence[str]) -> str:
    """Why a candidate is not compared; empty where it is."""
    if candidate.status == "failed" or candidate.artifact is None:
        return "failed"
    if candidate.status == "reference":
        return "is the reference, and no choice of the recipe's"
    broken = [v.constraint for v in candidate.verdicts if v.verdict != "pass"]
    if broken:
        return f"does not surely hold {broken[0]}"
    if candidate.unjudged:
        return f"was not measured for {candidate.unjudged[0]}"
    missing = [axis for axis in axes if axis not in candidate.comparable]
    return f"has no {missing[0].removeprefix(RATIO)}" if missing else ""


def _place(candidate: CandidateResult, axes: Sequence[str]) -> tuple[float, ...]:
    return tuple(_signed(axis, candidate.comparable[axis]) for axis in axes)


def _signed(axis: str, figure: Measurement) -> float:
    """Less is better."""
    return figure.value if less_is_better(axis.removeprefix(RATIO), figure) else -figure.value


def _covered(places: Sequence[tuple[float, ...]]) -> float | None:
    """The share of the box from the best of all axes to a tenth of their spread beyond the worst,
    so that the ends of a front count, too."""
    if not places:
        return None
    ends = [(min(axis), max(axis)) for axis in zip(*places, strict=True)]
    worst = [high + BEYOND * (high - low) for low, high in ends]
    box = math.prod(far - low for far, (low, _) in zip(worst, ends, strict=True))
    return hypervolume(places, worst) / box if box > 0 else None


def _digest(candidate: CandidateResult) -> str:
    return candidate.artifact.digest if candidate.artifact else ""


def _for_all(result: Result, found: Sequence[TargetFront]) -> list[OneForAll]:
    """Artifacts that hold on every target, the cheapest first."""
    if len(found) < 2 or len(found) < len(result.targets):
        return []
    by_target: list[dict[str, tuple[float, str]]] = []
    for front in found:
        (target,) = (each for each in result.targets if each.target == front.target)
        mine: dict[str, tuple[float, str]] = {}
        for candidate in target.candidates:
            if not _lacks(candidate, front.axes[:1]):
                place = _place(candidate, front.axes[:1])[0]
                kept = mine.get(_digest(candidate))
                mine[_digest(candidate)] = min(kept or (math.inf, ""), (place, candidate.label))
        by_target.append(mine)
    shared = set(by_target[0]).intersection(*by_target[1:])
    best = [min((value for value, _ in mine.values()), default=math.nan) for mine in by_target]
    rows = []
    for digest in shared:
        costs = {
            front.target: _times(mine[digest][0], least)
            for front, mine, least in zip(found, by_target, best, strict=True)
            if mine[digest][0] * least > 0
        }
        if costs:
            mean = math.exp(math.fsum(map(math.log, costs.values())) / len(costs))
            label = by_target[0][digest][1]
            rows.append(OneForAll(label=label, digest=digest, costs=costs, cost=mean))
    return sorted(rows, key=lambda row: (row.cost, row.digest))


def _times(place: float, best: float) -> float:
    """How many times worse a figure is than the best; both negative where more is better."""
    return place / best if place > 0 else best / place
