"""Every quantity that edgeopt knows, declared once: unit, direction, and how it is come by.

Built-in ones stand here. Others are found by the entry point group ``edgeopt.metrics``: each entry
is a ``Quantity`` or several of them, in a module that loads fast; ``module`` names the one that
measures (``edgeopt.metrics``, ``docs/add-a-metric.md``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, get_args

from edgeopt.schema import plugged
from edgeopt.schema.errors import UsageError, did_you_mean

Family = Literal[
    "answers", "nearness", "user", "latency", "load_time", "memory", "size", "instructions", "bytes"
]
GROUP = "edgeopt.metrics"
UNITS = ("fraction", "ms", "bytes", "count", "dB", "")
BESIDE = ("difference.", "ratio.")  # prefixes of figures that are against another


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
    def of_machine(self) -> bool:
        """Whether it is only comparable on one machine: times and memory."""
        return self.family in ("latency", "load_time", "memory")

    @property
    def by_ratio(self) -> bool:
        """Whether two models are compared by a ratio rather than a difference."""
        return self.of_machine or self.family == "size"


def _classes(name: str, title: str, **more: bool | int) -> Quantity:
    return Quantity(
        name, "fraction", "answers", title=title, labels="classes",
        module="edgeopt.metrics.classification", **more,  # type: ignore[arg-type]
    )  # fmt: skip


def _errors(name: str, title: str, **more: bool | int) -> Quantity:
    return Quantity(
        name, "", "answers", less_is_better=True, title=title, labels="values",
        module="edgeopt.metrics.regression", **more,  # type: ignore[arg-type]
    )  # fmt: skip


def _near(name: str, unit: str, title: str, rank: int) -> Quantity:
    return Quantity(
        f"fidelity.{name}", unit, "nearness", title=title, short=name,
        module="edgeopt.metrics.fidelity", usual=True, rank=rank,
    )  # fmt: skip


def _time(percentile: int) -> Quantity:
    return Quantity(
        f"latency.p{percentile}", "ms", "latency", less_is_better=True, raced=True,
        title=f"p{percentile} latency", short=f"p{percentile}",
    )  # fmt: skip


def _counted(name: str, title: str) -> Quantity:
    return Quantity(
        f"instructions.{name}", "count", "instructions", less_is_better=True, raced=True,
        title=title, part_of="instructions",
    )  # fmt: skip


def _moved(name: str) -> Quantity:
    return Quantity(
        f"bytes.{name}", "bytes", "bytes", less_is_better=True, title=f"bytes {name}",
        short=name, part_of="bytes",
    )  # fmt: skip


BUILT_IN = (
    _classes("accuracy", "Accuracy", usual=True, rank=1),
    _classes("macro_f1", "Macro F1", usual=True),
    _errors("mse", "Mean squared error", usual=True, rank=2),
    _errors("mae", "Mean absolute error", usual=True),
    _near("cosine", "", "Cosine", 4),
    _near("sqnr", "dB", "SQNR", 5),
    _near("agreement", "fraction", "Agreement", 3),
    _time(50),
    _time(90),
    _time(99),
    Quantity("load_time", "ms", "load_time", less_is_better=True, title="Load time", short="load"),
    Quantity(
        "memory.peak", "bytes", "memory", less_is_better=True, title="Peak memory added",
        short="peak memory added",
    ),
    Quantity("size", "bytes", "size", less_is_better=True, title="Size"),
    Quantity(
        "instructions", "count", "instructions", less_is_better=True, title="Instructions",
        raced=True,
    ),
    _counted("vector_mac", "vector multiply-accumulate"),
    _counted("vector_other", "other vector"),
    _counted("load_store", "load and store"),
    _counted("branch", "branch"),
    _counted("scalar", "scalar"),
    _moved("loaded"),
    _moved("stored"),
)  # fmt: skip
TOP = _classes("topK", "Top K")
USER = Quantity("metric.NAME", "", "user")  # which way is better, its figures say
_TOP = re.compile(r"top[1-9][0-9]*")
_USER = re.compile(r"metric\.[A-Za-z_]\w*")


@cache
def quantities() -> dict[str, Quantity]:
    """All declared ones by name. Raises UsageError where two share one."""
    known: dict[str, Quantity] = {}
    for each in BUILT_IN:
        _check(each, "edgeopt/schema/quantities.py", own=True)
    for each in (*BUILT_IN, *_plugged_in()):
        if each.name in known:
            raise UsageError(f"two metrics are called '{each.name}'")
        known[each.name] = each
    return known


def of_output(name: str) -> tuple[str, str]:
    """A quantity and the output that it names, ``accuracy@scores``; empty where it names none."""
    base, _, output = name.partition("@")
    return base, output


def find(name: str) -> Quantity | None:
    """The declaration, whatever output it names and whatever it is against; None if unknown."""
    base = of_output(name)[0]
    for prefix in BESIDE:
        base = base.removeprefix(prefix)
    if base in quantities():
        return quantities()[base]
    if _TOP.fullmatch(base):
        return replace(TOP, name=base, title=base.capitalize())
    return replace(USER, name=base, short=base[7:]) if _USER.fullmatch(base) else None


def declared(name: str, where: str = "") -> Quantity:
    """The declaration of what a user asks for. Raises UsageError for an unknown quantity, and for
    the output of one that is of none."""
    base, output = of_output(name)
    known = None if name.startswith(BESIDE) else find(base)
    if known is None:
        raise UsageError(
            f"unknown quantity '{base}'", where=where, hint=did_you_mean(base, quantities())
        )
    if "@" in name and not (output and known.of_outputs):
        raise UsageError(
            f"'{name}': "
            + (f"{base} does not belong to an output" if output else "no output is named"),
            where=where,
            hint=f"{', '.join(q.name for q in quantities().values() if q.of_outputs)} and topK are "
            "of outputs, e.g. 'accuracy@scores'",
        )
    return known


def is_of_outputs(name: str) -> bool:
    """Whether edgeopt measures a quantity of outputs, rather than of files or by a race."""
    known = find(name)
    return known is not None and known.of_outputs


def is_metric(name: str) -> bool:
    """Whether a quantity is computed from a model's answers; what is unknown may be."""
    known = find(name)
    return known is None or known.is_metric


def is_of_machine(name: str) -> bool:
    """Whether a quantity is only comparable on one machine: times and memory."""
    known = find(name)
    return known is not None and known.of_machine


def usual_metric(measured: Iterable[str]) -> str:
    """Of measured quantities the one that is shown first where nobody says otherwise."""
    known = set(measured)
    ranked = sorted((q for q in quantities().values() if q.rank), key=lambda q: q.rank)
    return next((q.name for q in ranked if q.name in known), ranked[0].name)


def short_of(name: str) -> str:
    """A quantity as narrow columns name it: ``p50``, ``cosine@boxes``."""
    (base, output), known = of_output(name), find(name)
    short = (known.short if known else "") or base
    return f"{short}@{output}" if output else short


def title_of(name: str) -> str:
    """A quantity as lists name it: ``p50 latency``; its own name where it has no short one."""
    known = find(name)
    return known.title if known and known.short and known.title else name


def parts_of(total: str) -> dict[str, str]:
    """The shares of a total: quantity -> title."""
    return {q.name: q.title for q in quantities().values() if q.part_of == total}


def _plugged_in() -> Iterable[Quantity]:
    for point in plugged.points(GROUP).values():
        given = plugged.load(point)
        for each in [given] if isinstance(given, Quantity) else given:
            place = plugged.place(point)
            if not isinstance(each, Quantity):
                raise UsageError(f"{place} gives a {type(each).__name__}, no Quantity")
            _check(each, place)
            yield each


def _check(each: Quantity, place: str, *, own: bool = False) -> None:
    """Raise UsageError for a wrong field. ``own``: edgeopt's, which may be of any family."""
    wrong = {
        "name": not re.fullmatch(r"[A-Za-z_][\w.]*", each.name),
        "unit": each.unit not in UNITS,
        "family": each.family not in get_args(Family) or not (own or each.of_outputs),
        "labels": each.labels not in (("classes", "values") if each.family == "answers" else ("",)),
        "module": each.of_outputs and not each.module,
    }
    for name, bad in wrong.items():
        if bad:
            raise UsageError(
                f"the metric '{each.name}' declares {name} '{getattr(each, name)}'",
                where=place, hint="docs/add-a-metric.md says what each field may be",
            )  # fmt: skip
