"""The one place where modules that measure a quantity are loaded and called, edgeopt's or not.

What they lack, raise or give in a wrong form is a PluginError; what they print goes to stderr.
"""

from __future__ import annotations

import inspect
import math
from types import ModuleType
from typing import Any

from edgeopt.schema import plugged
from edgeopt.schema.errors import PluginError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import declared

LABELLED = {
    "measure": ("quantity", "name", "output", "labels"),
    "difference": ("quantity", "name", "output", "source", "labels"),
    "ratio": ("quantity", "name", "output", "source", "labels"),
}
NEARNESS = {"measure": ("quantity", "name", "output", "source", "profile")}
TOGETHER = ("quantity", "names", "outputs", "sources")
ROUNDED = 1e-9  # of a figure: so far rounding may put it outside of its interval


def module_of(quantity: str) -> ModuleType:
    """What measures a quantity; loaded when it is first asked for.

    Raises PluginError, naming the module, where it cannot be loaded, or lacks a function that is
    called, or has one that takes other arguments.
    """
    known = declared(quantity)
    what = f"the metric {known.name}"
    try:
        with plugged.aside():
            module = plugged.imported(known.module, what)
    except PluginError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and _holds(cause.name, known.module):
            hint = f"its declaration names '{known.module}' as the module that measures it"
            raise PluginError(error.what, hint=hint) from cause
        raise
    ways = LABELLED if known.family == "answers" else NEARNESS
    optional = {"together": TOGETHER} if hasattr(module, "together") else {}
    for way, arguments in {**ways, **optional}.items():
        _check_callable(getattr(module, way, None), way, arguments, f"{what} ({module.__name__})")
    return module


def _holds(found: str | None, module: str) -> bool:
    """Whether what was not found is the module itself, or a package around it."""
    return bool(found) and f"{module}.".startswith(f"{found}.")


def _check_callable(function: object, way: str, arguments: tuple[str, ...], what: str) -> None:
    spelled = f"{way}({', '.join(arguments)})"
    if not callable(function):
        raise PluginError(
            f"{what} has no {spelled}", hint="docs/add-a-metric.md says what a metric must have"
        )
    try:
        inspect.signature(function).bind(*arguments)
    except ValueError:  # one in C does not say what it takes
        return
    except TypeError as error:
        raise PluginError(
            f"'{way}' of {what} takes other arguments: {error}", hint=f"it is called as {spelled}"
        ) from None


def called(way: str, quantity: str, *given: Any) -> Any:
    """What a function of the module gives, a figure that can be used, or None of ``together``.

    Raises PluginError where the function fails and for a wrong figure; errors of edgeopt's own
    classes pass.
    """
    module = module_of(quantity)
    what = f"'{way}' of the metric {quantity} ({module.__name__})"
    with plugged.calling(what), plugged.aside():
        figure = getattr(module, way)(quantity, *given)
    if way != "together" or figure is not None:
        _check_figure(figure, quantity, way, what)
    return figure


def _check_figure(given: object, quantity: str, way: str, what: str) -> None:
    """Raise PluginError for anything but a finite figure of a quantity, in its unit, that lies in
    its interval."""
    if not isinstance(given, Measurement):
        raise PluginError(
            f"{what} gives a {type(given).__name__}, not a Measurement",
            hint="see edgeopt.schema.measurement, or edgeopt.answers.averaged for a mean",
        )
    apart = way in ("difference", "ratio")
    expected = f"{way}.{quantity}" if apart else quantity
    if given.quantity != expected:
        raise PluginError(
            f"{what} gives a figure of '{given.quantity}', not of '{expected}'",
            hint=f"make it a Measurement(quantity='{expected}', ...)",
        )
    unit = "x" if way == "ratio" else declared(quantity).unit
    if given.unit != unit:
        raise PluginError(
            f"{what} gives a figure in '{given.unit}', not in '{unit}'",
            hint="a ratio is in 'x', all else in the unit that the metric declares",
        )
    low, high = given.interval
    for value, of in ((given.value, ""), (low, " as 'low'"), (high, " as 'high'")):
        if not math.isfinite(value):
            said = "NaN" if math.isnan(value) else "infinity"
            raise PluginError(
                f"{what} gives {said}{of}, which cannot be compared",
                hint="raise a DataError where the samples do not allow a figure",
            )
    slack = ROUNDED * max(abs(given.value), abs(low), abs(high))
    if not low - slack <= given.value <= high + slack:
        raise PluginError(
            f"{what} gives {given.value:g} with the interval {low:g} to {high:g}",
            hint="'low' and 'high' are the ends of its 95% interval, which holds the value",
        )
