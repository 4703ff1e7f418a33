"""What is shown of a result, arranged for any view: figures by split, bounds, groups.

Nothing is computed here that the document does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import isclose
from typing import NamedTuple

from edgeopt.schema.base import counted
from edgeopt.schema.constraint import Verdict
from edgeopt.schema.errors import UsageError
from edgeopt.schema.measurement import MARKS, Measurement, digits_apart, figure, span
from edgeopt.schema.quantities import find, is_metric
from edgeopt.schema.result import CandidateResult, PassRecord, Result, SliceFigure, TargetResult
from edgeopt.schema.runtime import Runtime, runtimes
from edgeopt.schema.target import parse_target

PURPOSES = {  # split -> what it is for
    "test": "on which only the winner and the source are scored, once",
    "validation": "on which candidates are chosen",
}
OTHERS = {"trained_on": "what the source was trained on"}


class Split(NamedTuple):
    """A quantity on one split: its name, the figure, and the difference to the source."""

    name: str
    figure: Measurement
    difference: Measurement | None


class Bound(NamedTuple):
    """A constraint and its verdicts, each with the split it is of; none where none was reached."""

    text: str
    verdicts: list[tuple[str, Verdict]]  # the split is empty for what belongs to none


def less_is_better(quantity: str, measurement: Measurement | None = None) -> bool:
    """Which way is better, as a figure says itself or else as is usual for the quantity.

    Prefixes (``difference.``) and the name of an output (``@scores``) change nothing. Raises
    UsageError for an unknown quantity.
    """
    if measurement is not None and measurement.better:
        return measurement.better == "less"
    declared = find(quantity)
    if declared is None:
        raise UsageError(f"unknown quantity '{quantity}'")
    return declared.less_is_better


# -- figures


def figure_text(measurement: Measurement, *, short: bool = False) -> str:
    """A figure, signed where it is a difference: ``-0.31pt``; what it is the worst of behind it,
    unless it is to be ``short``."""
    unit, digits = _shown(measurement)
    text = figure(measurement.value, unit, digits)
    if measurement.quantity.startswith("difference.") and measurement.value > 0:
        text = f"+{text}"
    where = "" if short else measurement.where
    return f"{text} [{where}]" if where else text


def interval(measurement: Measurement) -> str:
    """The 95% interval; empty where the figure is exact."""
    if measurement.low is None or measurement.high is None:
        return ""
    return span(measurement.low, measurement.high, *_shown(measurement))


def below(measurement: Measurement) -> tuple[str, ...]:
    """What stands below a figure in a table: its interval and its marks."""
    return tuple(filter(None, (interval(measurement), ", ".join(measurement.marks))))


def whole(measurement: Measurement) -> str:
    """A figure and, in brackets, its interval and its marks."""
    within = ", ".join(below(measurement))
    return figure_text(measurement) + (f" ({within})" if within else "")


def marks(figures: Iterable[Measurement]) -> list[str]:
    """What the marks of figures mean, each in words."""
    names = sorted({mark for figure in figures for mark in figure.marks})
    return [MARKS.get(mark, mark) for mark in names]


def _shown(measurement: Measurement) -> tuple[str, int]:
    """Unit and digits to show a figure with: so many that the ends of its interval differ."""
    unit = measurement.unit
    if unit == "fraction" and measurement.quantity.startswith("difference."):
        unit = "pt"
    return unit, digits_apart(*measurement.interval, unit)


def held(verdict: Verdict) -> str:
    """What a verdict was reached on: the figure that was held against the bound."""
    unit = verdict.unit
    if unit == "fraction" and verdict.basis == "difference":
        unit = "pt"
    digits = digits_apart(verdict.low, verdict.high, unit)
    text = figure(verdict.value, unit, digits)
    if verdict.basis == "difference" and verdict.value > 0:
        text = f"+{text}"
    exact = verdict.low == verdict.high
    within = "" if exact else span(verdict.low, verdict.high, unit, digits)
    beside = ", ".join(filter(None, [within, *verdict.marks]))
    return f"{text} ({beside})" if beside else text


def place(target: TargetResult) -> str:
    """What a target stands for: ``local/*`` is this machine, in whichever runtime is best."""
    asked = parse_target(target.target)
    device = "this machine" if asked.device == "local" else asked.device
    device = f"this machine as one with {asked.isa} alone" if asked.isa else device
    if not asked.every:
        return f"{device}, in {asked.runtime}"
    tried = sorted({c.runtime for c in target.candidates if c.runtime})
    several = f"the best of {', '.join(tried)}" if len(tried) > 1 else "any runtime"
    return f"{device}, in {several}"


def setting(target: TargetResult) -> str:
    """Where and under which settings a target's figures were taken."""
    asked, machine = parse_target(target.target), target.machine
    threads = counted(asked.threads, "thread")
    cpu, isa = machine.get("cpu"), machine.get("isa")
    core = f"{cpu} ({isa})" if cpu and isa else cpu or isa
    return f"{place(target)}; {threads}, batch {asked.batch}" + (f", on {core}" if core else "")


# -- splits and bounds


def samples(result: Result) -> str:
    """How many samples the splits have on which models are judged, and what each is for."""
    counts = {split: facts.get("n") for split, facts in result.data.items()}
    parts = [f"{counts[split]:,} in {split}, {purpose}"
             for split, purpose in PURPOSES.items() if counts.get(split)]  # fmt: skip
    pairs = {
        split: result.data[split].get("unshared", ()) for split in PURPOSES if counts.get(split)
    }
    others = dict.fromkeys(other for against in pairs.values() for other in against)
    names = [OTHERS.get(name, name) for name in others if name not in pairs]
    shared = ["between them"] if len(pairs) > 1 and others else []
    shared += [f"with {' or '.join(names)}"] if names else []
    if shared:
        parts.append(f"no sample is shared {', nor '.join(shared)}")
    return "; ".join(parts)


def tested(target: TargetResult) -> dict[str, Measurement]:
    """The figures of the test split, of the one that was scored on it."""
    raw = target.test.get("measurements", {})
    return {quantity: Measurement.model_validate(each) for quantity, each in raw.items()}


def shown(target: TargetResult) -> CandidateResult | None:
    """The one that a target is about: the chosen, or else the nearest miss."""
    id = target.chosen or target.nearest_miss
    return target.candidate(id) if id else None


def by_split(
    target: TargetResult, quantity: str, candidate: CandidateResult | None = None
) -> list[Split]:
    """A metric split by split, of a candidate or of the one shown: test first, if it was scored."""
    of = candidate or shown(target)
    if of is None:
        return []
    sides = [("validation", of.measurements)]
    if of.id == target.chosen:
        sides.insert(0, ("test", tested(target)))
    return [
        Split(name, measured[quantity], measured.get(f"difference.{quantity}"))
        for name, measured in sides
        if quantity in measured
    ]


def bounds(target: TargetResult) -> list[Bound]:
    """Each constraint on the one shown: its verdicts on test and validation, or none as yet."""
    of = shown(target)
    if of is None:
        return []
    by_constraint: dict[str, Bound] = {}
    ended = [("test", Verdict.model_validate(raw)) for raw in target.test.get("verdicts", ())]
    ended += [("validation" if is_metric(v.quantity) else "", v) for v in of.verdicts]
    for split, verdict in ended:
        text = verdict.constraint
        by_constraint.setdefault(text, Bound(text, [])).verdicts.append((split, verdict))
    order = [*(v.constraint for v in of.verdicts), *by_constraint, *of.unjudged]
    return [by_constraint.get(text, Bound(text, [])) for text in dict.fromkeys(order)]


# -- groups


def group_split(target: TargetResult) -> str:
    """The split whose groups are told of first: test, or else validation; empty without any."""
    return next((name for name in ("test", *target.slices) if name in target.slices), "")


def largest_drop(figures: Iterable[SliceFigure]) -> SliceFigure | None:
    """The group that lost most against the source; None where none lost."""
    losses = [(_worse(f.difference), f) for f in figures if f.difference is not None]
    loss, group = max(losses, key=lambda pair: pair[0], default=(0.0, None))
    return group if loss > 0 else None


def worst_group(figures: Sequence[SliceFigure]) -> SliceFigure:
    """The group whose own figure is the worst. Raises ValueError without any."""
    return max(figures, key=lambda f: _worse(f.figure))


def among(figures: Sequence[SliceFigure], drop: SliceFigure | None = None) -> str:
    """Of how many a group is the extreme, for that of many is more extreme by chance; and how
    many others lost as much as the ``drop`` shown."""
    if len(figures) < 2:
        return ""
    kind = "classes" if all(f.column.startswith("class") for f in figures) else "groups"
    extreme = "largest" if drop else "worst"
    picked = f"the {extreme} of {len(figures)} {kind}, which may make it look worse than it is"
    equal = [f.group for f in figures if drop and f is not drop and _lost_alike(f, drop)]
    others = f", level with {', '.join(equal)}" if equal else ""
    return f"; {picked}{others}"


def _lost_alike(one: SliceFigure, other: SliceFigure) -> bool:
    if one.difference is None or other.difference is None:
        return False
    return isclose(one.difference.value, other.difference.value, rel_tol=1e-9)


def reason_beside(target: TargetResult, candidate: CandidateResult) -> str:
    """Why a candidate stands where it stands, unless the target's own sentence says it above."""
    told = candidate.id == target.chosen and candidate.reason in target.sentence
    return "" if told else candidate.reason


def how_timed(candidate: CandidateResult, ratio: Measurement) -> str:
    """How many inferences and processes a ratio is of, and of which race; empty for no time."""
    if not ratio.timed:
        return ""
    afresh = "raced afresh: " if candidate.before else ""
    counts = (
        f"in each of {ratio.n} processes at least {ratio.timed:,} inferences of each of the two"
    )
    former = candidate.before.get(ratio.quantity)
    return f"{afresh}{counts}" + (f"; {whole(former)} in the races before" if former else "")


def trials(candidate: CandidateResult) -> list[str]:
    """What came of other settings of its runtime, one line each."""
    known = runtimes().get(candidate.runtime)
    told = []
    for trial in candidate.tried:
        own = ", ".join(_in_own_names(known, trial.settings.items()))
        told.append(f"tried with {trial.name}{f' ({own})' if own else ''}: {trial.reason}")
    return told


# -- what is shipped


def settings(target: TargetResult, candidate: CandidateResult) -> str:
    """How the runtime of a candidate was opened, for whoever ships its artifact."""
    asked = parse_target(candidate.target or target.target)
    versions = target.machine.get("runtimes", {})
    known = runtimes().get(asked.runtime)
    if known is None or asked.runtime not in versions or asked.accelerator != "cpu":
        return ""
    own = _in_own_names(known, asked.settings)
    opened = "; ".join(filter(None, (known.opened, *own)))
    for word, value in (("THREADS", asked.threads), ("BATCH", asked.batch)):
        opened = re.sub(rf"\b{word}\b", str(value), opened)  # not within INFERENCE_NUM_THREADS
    return f"{asked.runtime} {versions[asked.runtime]}" + (f": {opened}" if opened else "")


def runners_up(target: TargetResult, folder: str = "") -> str:
    """Where the best of the other runtimes lie, and which candidates they are."""
    base = f"{folder.rstrip('/')}/" if folder else ""
    kept = [
        f"{base}{c.path} ({target.named(c)}{_run_with(settings(target, c))})"
        for c in target.candidates
        if c.path and c.path != target.path
    ]
    if not kept or target.verdict == "built":
        return ""
    told = (
        "the lowest measured ratio in each other runtime, which another candidate there may equal "
        "within the intervals; not scored on test; 'edgeopt inspect FILE' shows their inputs"
    )
    return f"{told}: {'; '.join(kept)}"


def _in_own_names(known: Runtime | None, settings: Iterable[tuple[str, str]]) -> list[str]:
    """Settings as a runtime itself calls them, without those that need nothing to be set."""
    there = known.settings if known else {}
    opened = [there[name].opened.get(value, "") for name, value in settings if name in there]
    return [each for each in opened if each]


def _run_with(opened: str) -> str:
    return f"; run with {opened}" if opened else ""


def answers(candidate: CandidateResult) -> str:
    """Whether it answers elsewhere as it does here, where that was looked at."""
    return "; ".join(parity.sentence for parity in candidate.parity)


def source_by_split(target: TargetResult) -> list[str]:
    """The source's own figure of a target's metric on each split: test first."""
    held = {"test": target.test.get("source", {}).get(target.metric),
            "validation": target.source.get(target.metric)}  # fmt: skip
    return [
        f"{whole(Measurement.model_validate(raw))} ({split})" for split, raw in held.items() if raw
    ]


def pruned_to(candidate: CandidateResult) -> str:
    """What pruning kept of a network, as reached rather than asked for."""
    return "; ".join(filter(None, (kept(step) for step in candidate.chain)))


def kept(step: PassRecord) -> str:
    """The shares that a pruning pass kept; empty for any other pass."""
    before, after = (step.found.get(side) or {} for side in ("before", "after"))
    names = {"macs": "multiply-accumulates", "parameters": "parameters"}
    parts = [f"{after[name] / before[name]:.1%} of {noun}"
             for name, noun in names.items() if before.get(name) and name in after]  # fmt: skip
    return " and ".join(parts)


def _worse(measurement: Measurement) -> float:
    """Larger is worse."""
    less = less_is_better(measurement.quantity, measurement)
    return measurement.value if less else -measurement.value
