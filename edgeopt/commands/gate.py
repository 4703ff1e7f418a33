"""The gate: what was chosen now, or a file, against a saved baseline, raced on this machine.

Saved times are never compared: they are of another moment, and often of another machine. Where the
baseline's model is at hand it is raced anew beside the other, each where it was chosen to run;
where it is not, time is *not checked*. Instructions counted under emulation are compared as they
are. Metrics are paired on the same samples, sizes are exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeopt.bench.jobs import run_bench
from edgeopt.commands.baseline import checked_model, model_of
from edgeopt.commands.compare.files import compare_files
from edgeopt.commands.compare.files import exit_code as code_of
from edgeopt.commands.compare.results import compare_results
from edgeopt.commands.model_files import opened
from edgeopt.decide.choose import judge_all
from edgeopt.engine import Engine
from edgeopt.recipe import Recipe
from edgeopt.schema.baseline import Baseline
from edgeopt.schema.comparison import ComparedPair, ComparedSide, Comparison
from edgeopt.schema.constraint import Constraint, Verdict, parse_constraint
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.schema.event import Event
from edgeopt.schema.measurement import Measurement, figure, span
from edgeopt.schema.quantities import declared, is_metric, is_of_machine
from edgeopt.schema.result import Result, TargetResult
from edgeopt.stats.ratios import quantile_of_t
from edgeopt.store import Store

OnEvent = Callable[[Event], None]
SURE = 0.99  # one-sided: how sure it must be that time was lost
NOISE = 1.015  # of the ratio: less is not told from other work on the machine
BASELINE = re.compile(r"\bbaseline\b")
SOURCE = re.compile(r"\bsource\b")
COUNTED = "instructions"  # what stands for speed where a device has no time
ABSENT = "the baseline's model is neither in the store nor beside it"
LOST = ("unmet", "refused-on-test")  # verdicts of a target that are failures, not doubts


@dataclass(frozen=True)
class Asked:
    """What is compared with a baseline, and how."""

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

    @property
    def answers(self) -> bool:
        """Whether both models answer samples now."""
        return self.recipe is not None or self.data is not None


def check(asked: Asked, *, version: str, store: Store, on_event: OnEvent) -> Comparison:
    """Compare a result's choices, or a model file, with a baseline.

    ``require`` holds bounds in which ``baseline`` stands for its figures. Without one on its speed,
    a target fails that is proven to be slower: the one-sided 99% interval of the ratio lies above
    1, and the ratio above 1.015. A bound on what cannot be measured is inconclusive. A target that
    the result did not decide is ``undecided``: it fails where its bounds were unmet. Raises
    UsageError, ModelError, DeviceError, and DataError for a baseline of another model.
    """
    bounds = [_bound(text) for text in asked.require]
    given = asked.given
    if isinstance(given, Result):
        _check_model(asked.baseline.result, given, asked)
    gate = _Gate(asked, bounds, version, store, on_event)
    pairs, undecided, notes = [], {}, list[str]()
    for target in _targets(asked):
        if isinstance(given, Result):
            now = given.target(target.target)
            if now.verdict != "chosen" or now.chosen is None:
                undecided[target.target] = f"{now.verdict}: {now.sentence}"
                continue
        pair, told = gate.pair(target)
        pairs.append(pair)
        notes += told
    codes = {code_of([v for pair in pairs for v in pair.verdicts])}
    codes |= {3 if why.partition(":")[0] in LOST else 4 for why in undecided.values()}
    return Comparison(
        edgeopt=version,
        kind="results" if isinstance(given, Result) else "models",
        a=f"baseline {asked.baseline.name}",
        b=asked.name,
        required=tuple(asked.require),
        pairs=tuple(pairs),
        undecided=undecided,
        notes=tuple(dict.fromkeys(notes)),
        exit_code=next(code for code in (3, 4, 0) if code in codes),
    )


def _bound(text: str) -> Constraint:
    """A bound in which ``baseline`` stands where ``source`` may elsewhere."""
    if SOURCE.search(text):
        raise UsageError(
            f"'{text}': bounds of a check are against the baseline",
            where="--require",
            hint=f"write '{SOURCE.sub('baseline', text)}'",
        )
    try:
        bound = parse_constraint(BASELINE.sub("source", text), where="--require")
    except UsageError as error:
        said = (SOURCE.sub("baseline", part) for part in (error.what, error.hint))
        what, hint = said
        raise UsageError(what, where=error.where, hint=hint) from None
    return bound.model_copy(update={"text": text.strip()})


def _check_model(old: Result, new: Result, asked: Asked) -> None:
    """Raise DataError where the two results are of models with other inputs or outputs."""
    told = [_ends(each.source) for each in (old, new)]
    for what in ("inputs", "outputs"):
        was, now = (each[what] for each in told)
        if was != now:
            raise DataError(
                f"the baseline '{asked.baseline.name}' is of another model: its {what} are "
                f"{', '.join(was)}, those of the result {', '.join(now)}",
                where=asked.name,
                hint="name the baseline of this model, or save a new one",
            )


def _ends(source: Mapping[str, Any]) -> dict[str, list[str]]:
    """Inputs and outputs of a result's source, as text."""
    signature = source.get("description", {}).get("signature", {})
    return {
        what: [f"{t['name']} {t.get('shape')}" for t in signature.get(what, [])]
        for what in ("inputs", "outputs")
    }


def _targets(asked: Asked) -> list[TargetResult]:
    """The baseline's targets that are meant. Raises UsageError."""
    held = asked.baseline.result.targets
    known = [each.target for each in held]
    if asked.target is not None and asked.target not in known:
        raise UsageError(f"the baseline has no target '{asked.target}'", where="--target",
                         hint=f"it has: {', '.join(known)}")  # fmt: skip
    meant = [each for each in held if asked.target in (None, each.target)]
    if isinstance(asked.given, Path) and len(meant) > 1:
        raise UsageError(
            f"which target is the file for? The baseline has {', '.join(known)}",
            where=asked.name,
            hint="name one with --target",
        )
    if isinstance(asked.given, Result):
        theirs = [each.target for each in asked.given.targets]
        for each in meant:
            if each.target not in theirs:
                raise UsageError(
                    f"the result has no target '{each.target}', which the baseline has",
                    where=asked.name,
                    hint=f"it has: {', '.join(theirs)}",
                )
    return meant


class _Gate:
    """What all targets of one check share."""

    def __init__(
        self, asked: Asked, bounds: Sequence[Constraint], version: str, store: Store,
        on_event: OnEvent,
    ) -> None:  # fmt: skip
        self._asked, self._bounds, self._version = asked, bounds, version
        self._store, self._on_event = store, on_event

    def pair(self, target: TargetResult) -> tuple[ComparedPair, list[str]]:
        """The two choices of one target, judged; and notes on the two runs."""
        asked = self._asked
        old = model_of(asked.baseline, target, asked.folder, self._store)
        then = target.candidates[0]
        where = then.target or target.target
        if isinstance(asked.given, Path):
            pair = self._of_file(target, old, asked.given, where)
            return self._judged(pair, target, raced=old is not None), []
        found = self._of_results(target, asked.given)
        pair, notes = _timeless(found.pairs[0]), list(found.notes)
        now = asked.given.target(target.target)
        chosen = now.candidate(now.chosen or "")
        place = chosen.target or target.target
        same = pair.a.digest == pair.b.digest and where == place
        if target.speed == COUNTED:
            return self._judged(_counted(pair), target, raced=False), notes
        if old is None:
            pair = _noted(pair, f"time was not checked: {ABSENT}")
            return self._judged(pair, target, raced=False), notes
        if same and not any(_is_time(b) and b.basis == "absolute" for b in self._bounds):
            pair = _equal(_noted(pair, "the file is the baseline's own: nothing was raced"), chosen)
            return self._judged(pair, target, raced=False), notes
        new = checked_model(asked.given, target.target, self._store)
        raced = self._raced(old, new, (where, place))
        return self._judged(_merged(pair, raced), target, raced=True), notes

    def _of_results(self, target: TargetResult, given: Result) -> Comparison:
        """The two choices by their figures; metrics paired where the store has both answers."""
        one = self._asked.baseline.result.model_copy(update={"targets": (target,)})
        other = given.model_copy(update={"targets": (given.target(target.target),)})
        both = [each.targets[0].candidates for each in (one, other)]
        known = set.intersection(*({q for c in side for q in c.measurements} for side in both))
        bounds = [b for b in self._bounds if is_metric(b.quantity) and b.quantity in known]
        names = (f"baseline {self._asked.baseline.name}", self._asked.name)
        return compare_results(one, other, names, [_translated(b) for b in bounds], self._store)

    def _of_file(
        self, target: TargetResult, old: Path | None, new: Path, where: str
    ) -> ComparedPair:
        """A file beside the baseline's model; without that, their sizes."""
        if target.speed == COUNTED:
            raise UsageError(
                f"instructions of a file are not counted by a check: {target.target}",
                where=self._asked.name,
                hint="give a result: 'edgeopt optimize' counts them",
            )
        if old is not None:
            return self._raced(old, new, (where, where))
        with Engine(self._store, on_event=self._on_event, bench=run_bench) as engine:
            size = opened(engine, new, 0).value["artifact"]["size_bytes"]
        then = target.candidates[0]
        was = then.measurements["size"]
        now = was.model_copy(update={"value": float(size)})
        pair = ComparedPair(
            target=target.target,
            a=ComparedSide(name=then.label, target=where, measurements={"size": was}),
            b=ComparedSide(name=str(new), target=where, measurements={"size": now}),
            against={"ratio.size": Measurement(quantity="ratio.size", value=size / was.value,
                                               unit="x", protocol="exact")},
        )  # fmt: skip
        return _noted(pair, f"nothing but the size was checked: {ABSENT}")

    def _raced(self, old: Path, new: Path, places: tuple[str, str]) -> ComparedPair:
        asked = self._asked
        bounds = [b for b in self._bounds if is_metric(b.quantity)] if asked.answers else []
        try:
            return compare_files(
                (old, new), version=self._version, places=places, recipe=asked.recipe,
                require=[_translated(b) for b in bounds], data=asked.data, label=asked.label,
                quick=asked.quick, store=self._store, on_event=self._on_event,
            ).pairs[0]  # fmt: skip
        except UsageError as error:
            if error.where != str(new):
                raise
            raise DataError(f"the baseline is of another model: {error.what}", where=error.where,
                            hint=error.hint) from None  # fmt: skip

    def _judged(self, pair: ComparedPair, target: TargetResult, *, raced: bool) -> ComparedPair:
        """With a verdict on each bound, and on time where none bounds it."""
        verdicts = [_verdict(bound, pair, raced=raced) for bound in self._bounds]
        speed = target.speed
        if not any(bound.quantity == speed for bound in self._bounds):
            verdicts += [v for v in (_slower(speed, pair),) if v is not None]
        return pair.model_copy(update={"verdicts": tuple(verdicts)})


def _translated(bound: Constraint) -> str:
    return BASELINE.sub("source", bound.text)


def _is_time(bound: Constraint) -> bool:
    return is_of_machine(bound.quantity)


def _plain(name: str) -> str:
    return name.removeprefix("ratio.").removeprefix("difference.")


def _noted(pair: ComparedPair, note: str) -> ComparedPair:
    return pair.model_copy(update={"notes": (*pair.notes, note)})


def _timeless(pair: ComparedPair) -> ComparedPair:
    """Without the times and the memory of the two runs, which are of two moments."""
    sides = {
        side: held.model_copy(
            update={"measurements": {n: m for n, m in held.measurements.items()
                                     if not is_of_machine(n)}}
        )
        for side, held in (("a", pair.a), ("b", pair.b))
    }  # fmt: skip
    against = {n: m for n, m in pair.against.items() if not is_of_machine(_plain(n))}
    return pair.model_copy(update={**sides, "against": against, "verdicts": ()})


def _merged(pair: ComparedPair, raced: ComparedPair) -> ComparedPair:
    """Figures of two runs, with the times of a race, and what both answered in it.

    Fidelity stays that of the run, which is to its source; that of the race is to the baseline.
    """
    sides = {}
    for side in ("a", "b"):
        held, fresh = getattr(pair, side), getattr(raced, side).measurements
        new = {n: m for n, m in fresh.items() if n not in held.measurements or is_of_machine(n)}
        sides[side] = held.model_copy(update={"measurements": {**held.measurements, **new}})
    return pair.model_copy(
        update={**sides, "against": {**pair.against, **raced.against}, "answers": raced.answers}
    )


def _counted(pair: ComparedPair) -> ComparedPair:
    """With the ratio of the two counts, which are the same on any machine."""
    was, now = (side.measurements.get(COUNTED) for side in (pair.a, pair.b))
    if was is None or now is None or was.value <= 0:
        return pair
    ratio = Measurement(quantity=f"ratio.{COUNTED}", value=now.value / was.value, unit="x",
                        protocol="exact: both counted under emulation")  # fmt: skip
    return pair.model_copy(update={"against": {**pair.against, ratio.quantity: ratio}})


def _equal(pair: ComparedPair, chosen: Any) -> ComparedPair:
    """One file against itself: no time was lost."""
    times = {n: m for n, m in chosen.measurements.items() if is_of_machine(n)}
    exact = "exact: the same file"
    same = {f"ratio.{n}": Measurement(quantity=f"ratio.{n}", value=1.0, unit="x", protocol=exact)
            for n in times}  # fmt: skip
    same |= {
        f"difference.{n}": m.model_copy(
            update={"quantity": f"difference.{n}", "value": 0.0, "low": None, "high": None}
        )
        for n, m in times.items()
    }
    return pair.model_copy(update={"against": {**pair.against, **same}})


def _verdict(bound: Constraint, pair: ComparedPair, *, raced: bool) -> Verdict:
    """The verdict on a bound; inconclusive where its quantity was not measured on both sides."""
    prefix = {"ratio": "ratio.", "difference": "difference.", "absolute": ""}[bound.basis]
    compared = pair.against.get(f"{prefix}{bound.quantity}") if prefix else None
    measured = {**pair.b.measurements, **pair.against}
    if compared is not None and bound.quantity not in measured:  # exact, and of no race
        return _of_exact(bound, compared)
    there = bound.quantity in measured and (
        not prefix or compared is not None
        or (bound.quantity in pair.a.measurements and not declared(bound.quantity).paired)
    )  # fmt: skip
    if not there or (_is_time(bound) and not raced):
        return _unchecked(bound)
    (verdict,) = judge_all([bound], measured, pair.a.measurements)
    return verdict.model_copy(update={"sentence": SOURCE.sub("baseline", verdict.sentence)})


def _of_exact(bound: Constraint, found: Measurement) -> Verdict:
    """On a ratio or difference of one file to itself."""
    sign = 1.0 if bound.op == ">=" else -1.0
    margin = sign * (found.value - bound.bound)
    return Verdict(
        constraint=bound.text, quantity=bound.quantity, verdict="pass" if margin >= 0 else "fail",
        value=found.value, low=found.value, high=found.value, bound=bound.bound, margin=margin,
        basis=bound.basis, unit=found.unit,
        sentence=f"{bound.quantity} is the baseline's own: it is the same file",
    )  # fmt: skip


def _unchecked(bound: Constraint) -> Verdict:
    return Verdict(
        constraint=bound.text, quantity=bound.quantity, verdict="inconclusive", value=0.0, low=0.0,
        high=0.0, bound=bound.bound, margin=0.0, basis=bound.basis,
        unit=declared(bound.quantity).unit,
        sentence=f"{bound.quantity} was not checked: there is no figure of both sides",
    )  # fmt: skip


def _slower(speed: str, pair: ComparedPair) -> Verdict | None:
    """Whether the race proves that time was lost; None where nothing was raced or counted."""
    ratio = pair.against.get(f"ratio.{speed}")
    if ratio is None:
        return None
    lost = sure_low(ratio) > 1.0 and ratio.value > NOISE
    low, high = ratio.interval
    name = declared(speed).title or speed
    said = f"{name} is {figure(ratio.value, 'x')} the baseline's"
    if low < high:
        said += f" (95% interval {span(low, high, 'x')})"
    more = f", above 1x with {SURE:.0%} confidence: slower" if lost else ": not proven slower"
    return Verdict(
        constraint=f"{speed} not slower than baseline", quantity=speed,
        verdict="fail" if lost else "pass", value=ratio.value, low=low, high=high, bound=NOISE,
        margin=NOISE - ratio.value, basis="ratio", unit="x", marks=ratio.marks,
        sentence=said + more,
    )  # fmt: skip


def sure_low(ratio: Measurement) -> float:
    """The lower end of the one-sided 99% interval of a ratio, from its two-sided 95% one: Student's
    t over the logarithms of ``n`` processes."""
    if ratio.high is None or ratio.n < 2:
        return ratio.value
    error = math.log(ratio.high / ratio.value) / quantile_of_t(ratio.n - 1)
    return ratio.value * math.exp(-quantile_of_t(ratio.n - 1, 2 * SURE - 1) * error)
