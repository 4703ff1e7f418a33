"""What one quantity declares, and what a declaration may hold."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args

from edgeopt.schema.errors import UsageError

Family = Literal[
    "answers", "nearness", "user", "latency", "load_time", "memory", "size", "instructions", "bytes"
]
UNITS = ("fraction", "ms", "bytes", "count", "dB", "")
BESIDE = ("difference.", "ratio.")  # prefixes of figures that are against another
TOP_NAME = re.compile(r"top[1-9][0-9]*")


@dataclass(frozen=True)
class Quantity:
    """One quantity. ``unit`` is that of its figures: fraction, ms, bytes, count, dB or empty.

    ``family``: ``answers`` are computed from a model's answers and labels, ``nearness`` from its
    answers and the source's, ``user`` by a function of the recipe's; the others are what a device
    says that it measures. ``labels`` is how labels must fit an output (``metrics.labels.fit``).
    ``module`` measures it, ``usual`` is measured where nobody says what to. ``rank`` orders what
    views show first where nothing is bounded, sought or listed; 0: never.
    """

    name: str
    unit: str
    family: Family
    less_is_better: bool = False
    title: str = ""
    short: str = ""  # in narrow columns
    labels: str = ""
    module: str = ""
    usual: bool = False
    rank: int = 0
    raced: bool = False  # a ratio to the reference of one race stands for it
    part_of: str = ""  # a total that it is a share of
    paired: bool = False  # against another, it is no difference of two figures

    @property
    def of_outputs(self) -> bool:
        """Whether edgeopt measures it of answers, output by output."""
        return self.family in ("answers", "nearness")

    @property
    def is_metric(self) -> bool:
        """Whether it is computed from a model's answers, rather than of its file or a race."""
        return self.of_outputs or self.family == "user"

    @property
    def of_device(self) -> bool:
        """Whether a device must say that it measures it."""
        return not self.is_metric

    @property
    def needs_race(self) -> bool:
        """Whether nothing but a race shows it: times, memory and counts."""
        return self.of_device and self.family != "size"

    @property
    def of_machine(self) -> bool:
        """Whether it is only comparable on one machine: times and memory."""
        return self.family in ("latency", "load_time", "memory")

    @property
    def by_ratio(self) -> bool:
        """Whether two models are compared by a ratio rather than a difference."""
        return self.of_machine or self.family == "size"


def check(each: Quantity, place: str, *, own: bool = False) -> None:
    """Raise UsageError for a wrong field. ``own``: edgeopt's, which may be of any family."""
    for name, why in (_mistyped(each) or _unusable(each, own=own)).items():
        if why:
            raise UsageError(
                f"the metric {each.name!r} declares {name} {getattr(each, name)!r}: {why}",
                where=place, hint="docs/add-a-metric.md says what each field may be",
            )  # fmt: skip


def _mistyped(each: Quantity) -> dict[str, str]:
    """Why a field is not of its type: those without a default are strings."""
    kinds = {f.name: str if f.default is MISSING else type(f.default) for f in fields(Quantity)}
    words = {str: "a string", bool: "True or False", int: "a whole number"}
    return {
        name: f"it must be {words[kind]}"
        for name, kind in kinds.items()
        if type(getattr(each, name)) is not kind
    }


def _unusable(each: Quantity, *, own: bool) -> dict[str, str]:
    """Why a field of the right type cannot be used; empty where it can."""
    families: tuple[str, ...] = get_args(Family) if own else ("answers", "nearness")
    labels = ("classes", "values") if each.family == "answers" else ("",)
    misnamed = _misnamed(each.name, own=own)
    reasons: dict[str, tuple[Any, str]] = {
        "name": (not misnamed, misnamed),
        "unit": (each.unit in UNITS, f"it must be {_either(UNITS)}"),
        "family": (each.family in families, f"it must be {_either(families)}"),
        "labels": (each.labels in labels,
                   f"for the family {each.family} it must be {_either(labels)}"),
        "module": (each.module or not each.of_outputs, "it must name the module that measures it"),
        "rank": (each.rank >= 0, "it must not be below 0"),
        "raced": (own or not each.raced, "only edgeopt's own figures of races are"),
        "part_of": (own or not each.part_of, "only edgeopt's own totals have parts"),
    }  # fmt: skip
    return {name: why for name, (good, why) in reasons.items() if not good}


def _misnamed(name: str, *, own: bool) -> str:
    """Why no recipe could ask for a metric of this name; empty where one can."""
    if not re.fullmatch(r"[A-Za-z_][\w.]*", name):
        return "a bound can spell letters, digits, '_' and '.' only, and no digit or '.' first"
    if name.startswith(BESIDE):
        return "the figures against the source of any metric are called that"
    if name.partition(".")[0] == "metric":
        return "metrics that a recipe defines are called that"
    if not own and TOP_NAME.fullmatch(name):
        return "top1, top2 and so on are edgeopt's own"
    return ""


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(repr(word) for word in words)
