"""A comparison as rows of text: quantity, A, B, B against A."""

from __future__ import annotations

from edgeopt.schema.comparison import Answers, ComparedPair
from edgeopt.schema.measurement import Measurement, figure, span

HEADERS = ("", "A", "B", "B against A")
LAST = ("fidelity.",)


def rows(pair: ComparedPair) -> list[tuple[str, ...]]:
    """One row a quantity, in the order in which B has them, fidelity last."""
    named = list(dict.fromkeys([*pair.b.measurements, *pair.a.measurements]))
    named.sort(key=lambda quantity: quantity.startswith(LAST))
    found = []
    for quantity in named:
        against = [pair.against.get(f"{kind}.{quantity}") for kind in ("ratio", "difference")]
        sides = (pair.a.measurements.get(quantity), pair.b.measurements.get(quantity))
        told = "; ".join(whole(each) for each in against if each)
        if quantity.startswith(LAST) and sides[0] is None:  # of B to A
            sides, told = (None, None), whole(sides[1]) if sides[1] else ""
        found.append((quantity, *(_value(m) for m in sides), told))
    return found


def answered(answers: Answers) -> str:
    """The differing answers in one sentence."""
    text = f"{answers.changed:,} of {answers.n:,} samples get another top class"
    if answers.p is not None:
        text += (
            f"; B alone is right on {answers.gained:,}, A alone on {answers.lost:,} "
            f"(McNemar's mid-p {answers.p:.3g})"
        )
    return f"{text}; outputs lie furthest apart for sample {answers.worst}"


def whole(measurement: Measurement) -> str:
    """A figure with its interval."""
    unit = _unit(measurement)
    text = figure(measurement.value, unit, _digits(unit))
    if unit == "pt" and measurement.value > 0:
        text = f"+{text}"
    if measurement.low is None or measurement.high is None:
        return text
    return f"{text} ({span(measurement.low, measurement.high, unit, _digits(unit))})"


def _value(measurement: Measurement | None) -> str:
    if measurement is None:
        return ""
    return figure(measurement.value, measurement.unit, _digits(measurement.unit))


def _unit(measurement: Measurement) -> str:
    apart = measurement.quantity.startswith("difference.")
    return "pt" if apart and measurement.unit == "fraction" else measurement.unit


def _digits(unit: str) -> int:
    return 4 if unit == "fraction" else 3
