"""One constraint against what was measured: pass, fail or inconclusive, with the reason.

The whole 95% interval decides, not the value: on the good side of the bound it passes
(touching counts), on the bad side it fails, and across the bound nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from edgeopt.schema.constraint import Constraint, Verdict, VerdictWord
from edgeopt.schema.errors import UsageError
from edgeopt.schema.measurement import Measurement, digits_apart, figure, span, usual_digits
from edgeopt.schema.quantities import declared


@dataclass(frozen=True)
class _Ground:
    """What a bound is held against, on the constraint's own basis."""

    value: float
    low: float
    high: float
    marks: tuple[str, ...] = ()
    where: str = ""

    @property
    def exact(self) -> bool:
        return self.low == self.value == self.high


def judge(
    constraint: Constraint,
    value: Measurement | None,
    source: Measurement | None = None,
    difference: Measurement | None = None,
    ratio: Measurement | None = None,
) -> Verdict:
    """The verdict on a measured ``value``.

    A bound on a difference to the source is held against ``difference`` (paired) where it is
    given, one on a ratio against ``ratio``. Else both come of ``value`` and ``source``: exact
    where these are, and otherwise as wide as their two intervals allow.
    Raises UsageError that says which measurement is missing.
    """
    lacking = missing(constraint, value, source, difference, ratio)
    if lacking or value is None:
        raise UsageError(f"'{constraint.text}' cannot be judged: {lacking}")
    ground = _ground(constraint, value, source, difference, ratio)
    word = _word(constraint, ground)
    sign = 1.0 if constraint.op == ">=" else -1.0
    unit = "x" if constraint.basis == "ratio" else declared(constraint.quantity).unit
    return Verdict(
        constraint=constraint.text,
        quantity=constraint.quantity,
        verdict=word,
        value=ground.value,
        low=ground.low,
        high=ground.high,
        bound=constraint.bound,
        margin=sign * (ground.value - constraint.bound),
        basis=constraint.basis,
        unit=unit,
        marks=ground.marks,
        sentence=_sentence(constraint, value, ground, word),
    )


def missing(
    constraint: Constraint,
    value: Measurement | None,
    source: Measurement | None = None,
    difference: Measurement | None = None,
    ratio: Measurement | None = None,
) -> str:
    """Which measurement a verdict lacks, in words; empty where it lacks none."""
    quantity = constraint.quantity
    if value is None:
        return f"{quantity} was not measured"
    paired = {"absolute": value, "difference": difference, "ratio": ratio}[constraint.basis]
    if paired is None and source is None:
        return f"{quantity} of the source was not measured"
    if paired is None and declared(quantity).paired:
        return f"{quantity} was not compared with the source on the same samples"
    if paired is None and source and constraint.basis == "ratio" and source.interval[0] <= 0:
        return f"{quantity} of the source may be zero, so there is no ratio to it"
    return ""


def _ground(
    constraint: Constraint,
    value: Measurement,
    source: Measurement | None,
    difference: Measurement | None,
    ratio: Measurement | None,
) -> _Ground:
    """What the bound is held against; ``missing`` has found nothing to be missing."""
    basis = constraint.basis
    paired = {"absolute": value, "difference": difference, "ratio": ratio}[basis]
    if paired is not None or source is None:
        measurement = paired or value
        return _Ground(
            measurement.value, *measurement.interval, measurement.marks, measurement.where
        )
    (low, high), (source_low, source_high) = value.interval, source.interval
    if basis == "difference":
        apart = value.value - source.value
        return _Ground(apart, low - source_high, high - source_low, where=value.where)
    ends = [low / source_high, low / source_low, high / source_high, high / source_low]
    return _Ground(value.value / source.value, min(ends), max(ends), where=value.where)


def _word(constraint: Constraint, ground: _Ground) -> VerdictWord:
    low, high, bound = ground.low, ground.high, constraint.bound
    if constraint.op == "<=":
        low, high, bound = -high, -low, -bound
    if _at_least(low, bound):
        return "pass"
    return "inconclusive" if _at_least(high, bound) else "fail"


def _at_least(value: float, bound: float) -> bool:
    """``value >= bound`` but for rounding: 0.92 - 0.93 is a hair below -0.01."""
    return value >= bound or isclose(value, bound, rel_tol=1e-9, abs_tol=1e-12)


def _sentence(
    constraint: Constraint, value: Measurement, ground: _Ground, word: VerdictWord
) -> str:
    name, unit = constraint.quantity, declared(constraint.quantity).unit
    value_text = figure(value.value, unit, usual_digits(unit))
    points = constraint.basis == "difference" and unit == "fraction"
    shown = "x" if constraint.basis == "ratio" else "pt" if points else unit
    digits = digits_apart(ground.low, ground.high, shown)
    if constraint.basis == "ratio":
        what = f"{name} {value_text} is {figure(ground.value, shown, digits)} source"
    elif constraint.basis == "difference":
        sign = "+" if ground.value > 0 else ""
        off = f"{sign}{figure(ground.value, shown, digits)}"
        what = f"{name} {value_text} is {off} against source"
        if ground.value == 0:
            what = f"{name} {value_text} equals source"
    else:
        what = f"{name} {value_text}"
    where = ground.where or value.where
    if where:
        what += f" in {where}"
    if not ground.exact:
        what += f" (95% interval {span(ground.low, ground.high, shown, digits)})"
    if ground.marks:
        what += f", marked {', '.join(ground.marks)}"
    return f"{what}; {_asked(constraint, shown)}: {word}"


def _asked(constraint: Constraint, unit: str) -> str:
    """The bound in words: what is allowed or required."""
    bound, above = constraint.bound, constraint.op == "<="
    if constraint.basis != "difference":
        return f"{'allowed at most' if above else 'required at least'} {_plain(bound, unit)}"
    if bound == 0:
        return f"required no {'more' if above else 'less'} than source"
    if above == (bound > 0):
        return f"allowed {'+' if above else ''}{_plain(bound, unit)}"
    return f"required {_plain(abs(bound), unit)} {'below' if above else 'above'} source"


def _plain(value: float, unit: str) -> str:
    """A bound as it was written: no more digits than it has."""
    if unit == "pt":
        text = f"{round(100 * value, 6):g}"
        return f"{text}pt" if "." in text or "e" in text else f"{text}.0pt"
    if unit == "fraction":
        return f"{round(100 * value, 6):g}%"
    if unit == "x":
        return f"{value:g}x source"
    shown = figure(value, unit, 6)
    number, space, name = shown.partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{space}{name}"
