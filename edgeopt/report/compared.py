"""A comparison as rows of text: quantity, A, B, B against A."""

from __future__ import annotations

from edgeopt.schema.comparison import Answers, ComparedPair
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import find
from edgeopt.schema.shown import figure_text, whole

HEADERS = ("", "A", "B", "B against A")


def rows(pair: ComparedPair) -> list[tuple[str, ...]]:
    """One row a quantity, in the order in which B has them, fidelity last."""
    named = list(dict.fromkeys([*pair.b.measurements, *pair.a.measurements]))
    named.sort(key=_is_nearness)
    table = []
    for quantity in named:
        against = [pair.against.get(f"{kind}.{quantity}") for kind in ("ratio", "difference")]
        sides = (pair.a.measurements.get(quantity), pair.b.measurements.get(quantity))
        text = "; ".join(whole(each) for each in against if each)
        if _is_nearness(quantity) and sides[0] is None:  # of B to A
            sides, text = (None, None), whole(sides[1]) if sides[1] else ""
        table.append((quantity, *(_value(m) for m in sides), text))
    return table


def answered(answers: Answers) -> str:
    """The differing answers in one sentence."""
    text = f"{answers.changed:,} of {answers.n:,} samples get a different top class"
    if answers.p is not None:
        text += (
            f"; B alone is right on {answers.gained:,}, A alone on {answers.lost:,} "
            f"(McNemar's mid-p {answers.p:.3g})"
        )
    return f"{text}; outputs differ most for sample {answers.worst}"


def _is_nearness(quantity: str) -> bool:
    declared = find(quantity)
    return declared is not None and declared.family == "nearness"


def _value(measurement: Measurement | None) -> str:
    return "" if measurement is None else figure_text(measurement)
