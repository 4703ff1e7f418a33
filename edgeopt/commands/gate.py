"""The gate: what was chosen now, or a file, against a saved baseline, raced on this machine.

Saved times are never compared: they are of another moment, and often of another machine. Where the
baseline's model is at hand it is raced anew beside the other; where it is not, time is *not
checked*. Metrics are paired on the same samples, sizes are exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeopt.commands.baseline import model_of
from edgeopt.commands.compare.files import compare_files, exit_code
from edgeopt.commands.compare.results import compare_results
from edgeopt.decide.choose import judge_all
from edgeopt.recipe import Recipe
from edgeopt.schema.baseline import Baseline
from edgeopt.schema.comparison import ComparedPair, Comparison
from edgeopt.schema.constraint import Constraint, Verdict, parse_constraint
from edgeopt.schema.errors import UsageError
from edgeopt.schema.event import Event
from edgeopt.schema.measurement import Measurement, figure, span
from edgeopt.schema.quantities import declared, is_of_machine
from edgeopt.schema.result import Result, TargetResult
from edgeopt.stats.ratios import quantile_of_t
from edgeopt.store import Store

OnEvent = Callable[[Event], None]
SURE = 0.99  # one-sided: how sure it must be that time was lost
NOISE = 1.015  # of the ratio: less is not told from other work on the machine
BASELINE = re.compile(r"\bbaseline\b")
SOURCE = re.compile(r"\bsource\b")
AGAINST = ("ratio.", "difference.")


@dataclass(frozen=True)
class Asked:
    """What is held against a baseline, and how."""

    baseline: Baseline
    folder: Path
    given: Result | Path
    name: str
    require: Sequence[str] = ()
    target: str | None = None
    recipe: Recipe | None = None
    data: Path | None = None
    label: str | None = None
    quick: bool = False


def check(asked: Asked, *, version: str, store: Store, on_event: OnEvent) -> Comparison:
    """Hold a result's choices, or a model file, against a baseline.

    ``require`` holds bounds in which ``baseline`` stands for its figures. Without one on its speed,
    a target fails that is proven to be slower: the one-sided 99% interval of the ratio lies above
    1, and the ratio above 1.015. A bound on what cannot be measured is inconclusive. Raises
    UsageError, DataError, ModelError, DeviceError.
    """
    bounds = [_bound(text) for text in asked.require]
    pairs = [_pair(asked, target, bounds, version, store, on_event) for target in _targets(asked)]
    return Comparison(
        edgeopt=version,
        kind="results" if isinstance(asked.given, Result) else "models",
        a=f"baseline {asked.baseline.name}",
        b=asked.name,
        required=tuple(asked.require),
        pairs=tuple(pairs),
        exit_code=exit_code([v for pair in pairs for v in pair.verdicts]),
    )


def _bound(text: str) -> Constraint:
    """A bound in which ``baseline`` stands where ``source`` may elsewhere."""
    if SOURCE.search(text):
        raise UsageError(
            f"'{text}': bounds of a check are against the baseline",
            where="--require",
            hint=f"write '{SOURCE.sub('baseline', text)}'",
        )
    bound = parse_constraint(BASELINE.sub("source", text), where="--require")
    return bound.model_copy(update={"text": text.strip()})


def _targets(asked: Asked) -> list[TargetResult]:
    """The baseline's targets that are meant. Raises UsageError."""
    held = asked.baseline.result.targets
    known = [each.target for each in held]
    if asked.target is not None:
        if asked.target not in known:
            raise UsageError(f"the baseline has no target '{asked.target}'", where="--target",
                             hint=f"it has: {', '.join(known)}")  # fmt: skip
        return [each for each in held if each.target == asked.target]
    if isinstance(asked.given, Path) and len(held) > 1:
        raise UsageError(
            f"which target is the file for? The baseline has {', '.join(known)}",
            where=asked.name,
            hint="name one with --target",
        )
    return list(held)


def _pair(
    asked: Asked, target: TargetResult, bounds: Sequence[Constraint], version: str, store: Store,
    on_event: OnEvent,
) -> ComparedPair:  # fmt: skip
    old = model_of(asked.baseline, target, asked.folder, store)
    if isinstance(asked.given, Result):
        pair, new = _of_results(asked, target, asked.given, store)
    else:
        pair, new = None, asked.given
    where = target.candidates[0].target or target.target
    notes = list(pair.notes) if pair else []
    if old is None:
        if pair is None:
            raise UsageError(
                f"the baseline's model for {target.target} is neither in the store nor beside it",
                where=asked.name,
                hint="save it with the model: edgeopt baseline save NAME RESULT --with-model",
            )
        notes.append(
            "time was not checked: the baseline's model is neither in the store nor beside it"
        )
        pair = _without_times(pair)
    elif pair is not None and pair.a.digest == pair.b.digest and pair.a.target == pair.b.target:
        notes.append("the file is the baseline's own: nothing is raced")
        pair = _equal(pair)
    else:
        raced = compare_files(
            (old, new), version=version, targets=[where], recipe=asked.recipe, data=asked.data,
            label=asked.label, quick=asked.quick, store=store, on_event=on_event,
        ).pairs[0]  # fmt: skip
        pair = raced if pair is None else _with_times(pair, raced)
    verdicts = [_judged(bound, pair) for bound in bounds]
    speed = target.speed
    if not any(bound.quantity == speed for bound in bounds):
        verdicts += [v for v in (_slower(speed, pair),) if v is not None]
    return pair.model_copy(update={"verdicts": tuple(verdicts), "notes": tuple(notes)})


def _of_results(
    asked: Asked, target: TargetResult, given: Result, store: Store
) -> tuple[ComparedPair, Path]:
    """The two choices by their figures, and the file of the new one. Raises UsageError."""
    known = [each.target for each in given.targets]
    if target.target not in known:
        raise UsageError(f"the result has no target '{target.target}', which the baseline has",
                         where=asked.name, hint=f"it has: {', '.join(known)}")  # fmt: skip
    one = asked.baseline.result.model_copy(update={"targets": (target,)})
    other = given.model_copy(update={"targets": (given.target(target.target),)})
    (pair,) = compare_results(one, other, (asked.baseline.name, asked.name), store=store).pairs
    return pair, given.lying_in(given._folder).best(target.target).path


def _is_time(name: str) -> bool:
    return is_of_machine(name.removeprefix("ratio.").removeprefix("difference."))


def _without_times(pair: ComparedPair) -> ComparedPair:
    kept = {name: m for name, m in pair.against.items() if not _is_time(name)}
    return pair.model_copy(update={"against": kept})


def _with_times(pair: ComparedPair, raced: ComparedPair) -> ComparedPair:
    """Figures of two runs, with the times of a race in place of theirs."""
    times = {
        name: m for name, m in raced.against.items() if name not in pair.against or _is_time(name)
    }
    sides = {
        side: getattr(pair, side).model_copy(
            update={"measurements": {**getattr(pair, side).measurements,
                                     **getattr(raced, side).measurements}}
        )
        for side in ("a", "b")
    }  # fmt: skip
    return pair.model_copy(update={"against": {**pair.against, **times}, **sides})


def _equal(pair: ComparedPair) -> ComparedPair:
    """One file against itself: no time was lost."""
    same = {
        f"ratio.{name}": Measurement(quantity=f"ratio.{name}", value=1.0, unit="x",
                                     protocol="exact: the same file")
        for name in pair.b.measurements
        if is_of_machine(name)
    }  # fmt: skip
    return pair.model_copy(update={"against": {**pair.against, **same}})


def _judged(bound: Constraint, pair: ComparedPair) -> Verdict:
    """The verdict on a bound; inconclusive where its quantity was not measured."""
    measured = {**pair.b.measurements, **pair.against}
    basis = {"ratio": "ratio.", "difference": "difference.", "absolute": ""}[bound.basis]
    lacking = bound.quantity not in measured
    if not lacking and is_of_machine(bound.quantity) and basis:
        lacking = f"{basis}{bound.quantity}" not in pair.against
    if lacking:
        return Verdict(
            constraint=bound.text, quantity=bound.quantity, verdict="inconclusive", value=0.0,
            low=0.0, high=0.0, bound=bound.bound, margin=0.0, basis=bound.basis,
            unit=declared(bound.quantity).unit,
            sentence=f"{bound.quantity} was not checked: there is no figure of both sides",
        )  # fmt: skip
    (verdict,) = judge_all([bound], measured, pair.a.measurements)
    return verdict.model_copy(
        update={"sentence": SOURCE.sub("baseline", verdict.sentence), "constraint": bound.text}
    )


def _slower(speed: str, pair: ComparedPair) -> Verdict | None:
    """Whether the race proves that time was lost; None where nothing was raced or counted."""
    ratio = pair.against.get(f"ratio.{speed}")
    if ratio is None:
        return None
    low = sure_low(ratio)
    lost = low > 1.0 and ratio.value > NOISE
    ends = ratio.interval
    told = f"{figure(ratio.value, 'x')} (95% interval {span(*ends, 'x')})"
    name = declared(speed).title or speed
    said = f"{name} is {told} the baseline's"
    more = f", above 1x with {SURE:.0%} confidence: slower" if lost else ": not proven slower"
    return Verdict(
        constraint=f"{speed} not slower than baseline",
        quantity=speed,
        verdict="fail" if lost else "pass",
        value=ratio.value,
        low=ends[0],
        high=ends[1],
        bound=NOISE,
        margin=NOISE - ratio.value,
        basis="ratio",
        unit="x",
        marks=ratio.marks,
        sentence=said + more,
    )


def sure_low(ratio: Measurement) -> float:
    """The lower end of the one-sided 99% interval of a ratio, from its two-sided 95% one: Student's
    t over the logarithms of ``n`` processes."""
    if ratio.high is None or ratio.n < 2:
        return ratio.value
    error = math.log(ratio.high / ratio.value) / quantile_of_t(ratio.n - 1)
    return ratio.value * math.exp(-quantile_of_t(ratio.n - 1, 2 * SURE - 1) * error)
