"""Constraints, quantities and objectives: one parser for recipe, CLI, gate and JUnit.

``accuracy >= source - 1.0pt``, ``latency.p99 <= 8 ms``, ``latency.p50 <= 0.7x source``,
``size <= 400 kB``. pt = percentage points, kB = 1000 bytes. A quantity of outputs may name one of
them, ``accuracy@scores``; without a name it is that of every output that has it, the worst judged.
"""

from __future__ import annotations

import re
from typing import Literal

from edgeopt.schema.base import Noun
from edgeopt.schema.errors import UsageError
from edgeopt.schema.quantities import declared

VerdictWord = Literal["pass", "fail", "inconclusive"]

SCALES: dict[str, dict[str, float]] = {
    "fraction": {"": 1.0, "%": 0.01, "pt": 0.01},
    "ms": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "bytes": {
        "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30,
    },
    "count": {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9},
    "dB": {"dB": 1.0},
    "": {"": 1.0},
}  # fmt: skip
_NUMBER = r"(?P<number>[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)\s*(?P<unit>[A-Za-z%]*)"
_CONSTRAINT = re.compile(
    r"(?P<quantity>[A-Za-z_][\w.]*(?:@[^\s<>=]+)?)\s*(?P<op>[<>]=?)\s*(?P<bound>[^=\s].*)"
)
_RATIO = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*x\s+source")
_SOURCE = re.compile(rf"source(?:\s*(?P<sign>[+-])\s*{_NUMBER})?")
_ABSOLUTE = re.compile(_NUMBER)
EXAMPLE = "e.g. 'accuracy >= source - 1.0pt', 'latency.p99 <= 8 ms', 'size <= 0.5x source'"


class Constraint(Noun):
    """One bound on one quantity, in base units (fraction, ms, bytes, count, dB).

    ``basis`` says what ``bound`` is: a value (``absolute``), a difference to the source
    (``difference``) or a factor of it (``ratio``). ``on`` is a target prefix; empty: all.
    """

    text: str
    quantity: str
    op: Literal["<=", ">="]
    basis: Literal["absolute", "difference", "ratio"]
    bound: float
    on: str = ""

    def of(self, output: str) -> Constraint:
        """The same bound on its quantity of one output."""
        return self.model_copy(update={"quantity": f"{self.quantity}@{output}"})

    def applies(self, target: str) -> bool:
        """Whether it holds for this target."""
        return not self.on or prefixes(self.on, target)


class Verdict(Noun):
    """``pass``, ``fail`` or ``inconclusive`` against one constraint.

    ``value``, ``low``, ``high`` are on the constraint's own basis (value, difference or
    ratio); ``margin`` is how far the value lies on the good side (negative: missed).
    """

    constraint: str
    quantity: str
    verdict: VerdictWord
    value: float
    low: float
    high: float
    bound: float
    margin: float
    basis: Literal["absolute", "difference", "ratio"]
    unit: str
    sentence: str
    marks: tuple[str, ...] = ()  # of the figure that was judged


def prefixes(prefix: str, target: str) -> bool:
    """Whether ``prefix`` names ``target`` or a whole leading part of it."""
    return target == prefix or (target.startswith(prefix) and target[len(prefix)] in ":/?")


def parse_constraint(text: str, on: str = "", where: str = "") -> Constraint:
    """Read the constraint grammar. Raises UsageError that names the part that is wrong."""
    match = _CONSTRAINT.fullmatch(text.strip())
    if not match:
        raise UsageError(f"cannot read constraint '{text}'", where=where, hint=EXAMPLE)
    quantity, op, bound = match["quantity"], match["op"], match["bound"].strip()
    if len(op) == 1:
        raise UsageError(
            f"'{text}': a bound is <= or >=", where=where, hint=f"write '{quantity} {op}= {bound}'"
        )
    known = declared(quantity, where)
    unit = known.unit
    if known.less_is_better != (op == "<=") and known.family != "user":
        wanted = "<=" if known.less_is_better else ">="
        raise UsageError(
            f"'{text}' bounds {quantity} on the wrong side; use {wanted}", where=where, hint=EXAMPLE
        )

    def constraint_of(
        basis: Literal["absolute", "difference", "ratio"], value: float
    ) -> Constraint:
        return Constraint.model_validate(
            {"text": text.strip(), "quantity": quantity, "op": op, "basis": basis,
             "bound": value, "on": on}
        )  # fmt: skip

    if ratio := _RATIO.fullmatch(bound):
        return constraint_of("ratio", float(ratio["number"]))
    if source := _SOURCE.fullmatch(bound):
        if source["number"] is None:
            return constraint_of("difference", 0.0)
        if unit == "fraction" and not source["unit"] and float(source["number"]) >= 1:
            raise UsageError(
                f"'{text}': {source['number']} without a unit is {source['number']} times the "
                f"whole range; write '{source['number']}pt' for percentage points",
                where=where,
            )
        scaled = _scaled(source["number"], source["unit"], unit, text, where)
        return constraint_of("difference", scaled if source["sign"] == "+" else -scaled)
    if absolute := _ABSOLUTE.fullmatch(bound):
        number = absolute["number"]
        if unit == "fraction" and not absolute["unit"] and float(number) > 1:
            raise UsageError(
                f"'{text}': no {quantity} is above 1",
                where=where,
                hint=f"write '{quantity} {op} {number}%' for percent",
            )
        if absolute["unit"] == "pt":
            raise UsageError(
                f"'pt' is a difference; write '{quantity} {op} source - {bound}'", where=where
            )
        return constraint_of(
            "absolute", _scaled(absolute["number"], absolute["unit"], unit, text, where)
        )
    raise UsageError(f"cannot read the bound '{bound}' in '{text}'", where=where, hint=EXAMPLE)


def _scaled(number: str, suffix: str, unit: str, text: str, where: str) -> float:
    scales = SCALES[unit]
    if suffix not in scales:
        known = ", ".join(s for s in scales if s) or "none"
        said = f"unit '{suffix}'" if suffix else "a number without a unit"
        raise UsageError(f"{said} does not fit in '{text}'; units: {known}", where=where)
    return float(number) * scales[suffix]
