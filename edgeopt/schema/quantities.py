"""Every quantity that edgeopt knows, declared once: unit, direction, and how it is come by.

Built-in ones stand here. Others are found by the entry point group ``edgeopt.metrics``: each entry
is a ``Quantity`` or several of them, in a module that loads fast; ``module`` names the one that
measures (``edgeopt.metrics``, ``docs/add-a-metric.md``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint
from types import ModuleType

from edgeopt.schema import plugged
from edgeopt.schema.errors import UsageError, did_you_mean
from edgeopt.schema.quantity import BESIDE as BESIDE
from edgeopt.schema.quantity import TOP_NAME, check
from edgeopt.schema.quantity import Quantity as Quantity

GROUP = "edgeopt.metrics"


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
    _classes("worst_class", "Accuracy of the worst class", paired=True),
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
_USER = re.compile(r"metric\.[A-Za-z_]\w*")


@cache
def quantities() -> dict[str, Quantity]:
    """All declared ones by name. Raises UsageError for a wrong declaration of another distribution,
    and where two share a name."""
    known = {**_own()}
    for point in plugged.points(GROUP).values():
        _add(known, point)
    return known


def faults() -> Iterator[UsageError]:
    """What is wrong with the metrics of other distributions, of each entry point the first."""
    try:
        known, added = {**_own()}, plugged.points(GROUP)
    except UsageError as error:
        yield error
        return
    for point in added.values():
        try:
            _add(known, point)
        except UsageError as error:
            yield error


def of_output(name: str) -> tuple[str, str]:
    """A quantity and the output that it names, ``accuracy@scores``; empty where it names none."""
    base, _, output = name.partition("@")
    return base, output


def find(name: str) -> Quantity | None:
    """The declaration, whatever output it names and whatever it is against; None if unknown.

    A broken metric of another distribution raises UsageError only where the name is none of
    edgeopt's own.
    """
    base = of_output(name)[0]
    for prefix in BESIDE:
        base = base.removeprefix(prefix)
    if base in _own():
        return _own()[base]
    if TOP_NAME.fullmatch(base):
        return replace(TOP, name=base, title=base.capitalize())
    if _USER.fullmatch(base):
        return replace(USER, name=base, short=base[7:])
    return quantities().get(base)


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


def needs_race(name: str) -> bool:
    """Whether nothing but a race shows a quantity; one of outputs or files needs none."""
    known = find(name)
    return known is not None and known.needs_race


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
    ranked = [
        (q.rank, name) for name in measured if (q := find(name)) and q.rank and q.name == name
    ]
    return min(ranked)[1] if ranked else "accuracy"


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
    return {q.name: q.title for q in BUILT_IN if q.part_of == total}


@cache
def _own() -> dict[str, Quantity]:
    for each in BUILT_IN:
        check(each, "edgeopt/schema/quantities.py", own=True)
    return {each.name: each for each in BUILT_IN}


def _add(known: dict[str, Quantity], point: EntryPoint) -> None:
    """Add what an entry point gives. Raises UsageError, naming it, for what cannot be used."""
    place = plugged.place(point)
    with plugged.aside():
        given = plugged.load(point)
    for each in given if isinstance(given, list | tuple) and given else [given]:
        if not isinstance(each, Quantity):
            raise UsageError(
                f"'{point.value}' gives {_called(each)}, no Quantity",
                where=place,
                hint="name a Quantity, or a list of them, as MODULE:NAME (docs/add-a-metric.md)",
            )
        check(each, place)
        if each.name in known:
            raise UsageError(
                f"two metrics are called '{each.name}'", where=place, hint="rename this one"
            )
        known[each.name] = each


def _called(given: object) -> str:
    """What a stranger gave in place of a Quantity, in words."""
    if isinstance(given, ModuleType):
        return f"the module '{given.__name__}'"
    if isinstance(given, type):
        return f"the class {given.__name__}"
    if isinstance(given, list | tuple):
        return f"an empty {type(given).__name__}"
    return "None" if given is None else f"a {type(given).__name__}"
