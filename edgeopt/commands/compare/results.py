"""Two results side by side: what each chose, where both decided for the same target.

Metrics are equal where the answers are, and paired where the store keeps the answers of both to
the same samples. The runs were not timed side by side, so times are never paired: intervals are as
wide as both runs' own ones make them, and times of different machines are not compared at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from edgeopt.commands.compare.files import exit_code
from edgeopt.commands.compare.paired import Chosen, paired, same_samples
from edgeopt.decide.choose import judge_all
from edgeopt.schema.comparison import ComparedPair, ComparedSide, Comparison
from edgeopt.schema.constraint import Constraint, parse_constraint
from edgeopt.schema.errors import UsageError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import find, is_of_machine
from edgeopt.schema.result import CandidateResult, Result
from edgeopt.store import Store

UNPAIRED = "two runs, not paired: both intervals combined"


def compare_results(
    a: Result,
    b: Result,
    names: tuple[str, str],
    require: Sequence[str] = (),
    store: Store | None = None,
) -> Comparison:
    """B's choices against A's; ``store`` may keep what both answered.

    A target that A chose for and B did not is ``undecided``: bounds on it are inconclusive. Raises
    UsageError where no target is decided in both.
    """
    theirs = {target.target: target for target in a.targets}
    both = [(theirs[t.target], t) for t in b.targets if t.target in theirs]
    constraints = [parse_constraint(text, where="--require") for text in require]
    pairs = []
    for old, new in both:
        if old.chosen is not None and new.chosen is not None:
            sides = [Chosen(result, target, target.candidate(id)) for result, target, id in
                     ((a, old, old.chosen), (b, new, new.chosen))]  # fmt: skip
            pairs.append(_pair(sides[0], sides[1], constraints, store))
    undecided = {
        new.target: f"{new.verdict}: {new.sentence}"
        for old, new in both
        if old.chosen is not None and new.chosen is None
    }
    if not pairs:
        raise UsageError(
            "the two results chose nothing for a common target",
            where=" and ".join(names),
            hint=f"A has {_verdicts(a)}; B has {_verdicts(b)}",
        )
    notes = [f"only in one of the results: {name}" for name in
             sorted({t.target for t in a.targets} ^ {t.target for t in b.targets})]  # fmt: skip
    notes += [f"{target}: A chose for it, B did not: {why}" for target, why in undecided.items()]
    notes += _changes(a, b)
    code = exit_code([v for pair in pairs for v in pair.verdicts])
    return Comparison(
        edgeopt=b.edgeopt,
        kind="results",
        a=names[0],
        b=names[1],
        required=tuple(require),
        pairs=tuple(pairs),
        undecided=undecided,
        notes=tuple(notes),
        exit_code=4 if undecided and require and not code else code,
    )


def _verdicts(result: Result) -> str:
    return ", ".join(f"{t.target} ({t.verdict})" for t in result.targets)


def _pair(
    a: Chosen, b: Chosen, constraints: Sequence[Constraint], store: Store | None
) -> ComparedPair:
    old, new = a.candidate, b.candidate
    keys = ("isa", "cpu")
    alike = all(a.target.machine.get(key) == b.target.machine.get(key) for key in keys)
    notes = []
    if not alike:
        machines = (" ".join(str(t.target.machine.get(k)) for k in reversed(keys)) for t in (a, b))
        notes.append(
            f"measured on different machines, so times are not compared: {' and '.join(machines)}"
        )
    if old.label != new.label or old.target != new.target:
        notes.append(f"different choice: {_label(old)} before, {_label(new)} now")
    elif old.artifact and new.artifact and old.artifact.digest != new.artifact.digest:
        notes.append("the same choice, with a different file")
    pairs = paired(a, b, store, {c.quantity for c in constraints if c.basis == "ratio"})
    notes += [pairs.how] if pairs.how else []
    against = dict(_against(old, new, alike)) | pairs.against
    measured = {q: m for q, m in new.measurements.items() if alike or not is_of_machine(q)}
    for constraint in constraints:
        if constraint.quantity not in measured:
            why = "not measured" if alike else "measured on a different machine"
            raise UsageError(
                f"'{constraint.text}' cannot be judged on {b.target.target}: "
                f"{constraint.quantity} was {why}",
                where="--require",
            )
    plain = {q: m for q, m in measured.items() if not q.startswith(("difference.", "ratio."))}
    return ComparedPair(
        target=b.target.target,
        a=_side(old),
        b=_side(new),
        against=against,
        verdicts=judge_all(constraints, plain | against, old.measurements),
        notes=tuple(notes),
    )


def _label(candidate: CandidateResult) -> str:
    return f"{candidate.label} in {candidate.runtime}"


def _side(candidate: CandidateResult) -> ComparedSide:
    plain = {q: m for q, m in candidate.measurements.items()
             if not q.startswith(("difference.", "ratio."))}  # fmt: skip
    digest = candidate.artifact.digest if candidate.artifact else ""
    return ComparedSide(
        name=candidate.label, target=candidate.target, digest=digest, measurements=plain
    )


def _against(
    old: CandidateResult, new: CandidateResult, alike: bool
) -> Iterator[tuple[str, Measurement]]:
    """``ratio.Q`` of times, memory and sizes, ``difference.Q`` of all else."""
    for quantity, mine in _side(new).measurements.items():
        theirs = old.measurements.get(quantity)
        if theirs is None or (is_of_machine(quantity) and not alike):
            continue
        declared = find(quantity)
        if declared and declared.paired:
            continue
        if declared and declared.by_ratio:
            if mine.value > 0 and theirs.value > 0:
                yield f"ratio.{quantity}", _ratio(quantity, mine, theirs)
        elif not declared or declared.family != "nearness":
            yield f"difference.{quantity}", _difference(quantity, mine, theirs)


def _ratio(quantity: str, mine: Measurement, theirs: Measurement) -> Measurement:
    """Logarithms' half-widths add as independent errors do."""
    value = mine.value / theirs.value
    widths = [m.interval[1] / m.value for m in (mine, theirs) if m.high is not None]
    half = math.sqrt(sum(math.log(width) ** 2 for width in widths))
    exact = not widths
    return Measurement(
        quantity=f"ratio.{quantity}",
        value=value,
        unit="x",
        low=None if exact else value / math.exp(half),
        high=None if exact else value * math.exp(half),
        n=min(mine.n, theirs.n),
        protocol="exact" if exact else UNPAIRED,
    )


def _difference(quantity: str, mine: Measurement, theirs: Measurement) -> Measurement:
    """The square-and-add interval of Newcombe (Statistics in Medicine 17, 1998)."""
    apart = mine.value - theirs.value
    (low, high), (base_low, base_high) = mine.interval, theirs.interval
    down = math.hypot(mine.value - low, base_high - theirs.value)
    up = math.hypot(high - mine.value, theirs.value - base_low)
    return Measurement(
        quantity=f"difference.{quantity}",
        value=apart,
        unit=mine.unit,
        low=apart - down,
        high=apart + up,
        n=min(mine.n, theirs.n),
        protocol=UNPAIRED,
    )


def _changes(a: Result, b: Result) -> Iterator[str]:
    """What differs between the runs besides what they chose."""
    for name in sorted({*a.versions, *b.versions}):
        was, now = a.versions.get(name, "absent"), b.versions.get(name, "absent")
        if was != now:
            yield f"{name}: {was} before, {now} now"
    if a.source.get("digest") != b.source.get("digest"):
        yield "the source models differ"
    for split in sorted({*a.data, *b.data}):
        if not same_samples(a, b, split):
            yield f"the samples of '{split}' differ"
