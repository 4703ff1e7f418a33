"""Figures from outputs: each with a 95% interval, its n, and the method by name.

Outputs are (n, ...) arrays by name, as a score keeps them; a new metric runs no model. A quantity
without the name of an output is the worst of every output that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgeopt.answers import decisions, standstill
from edgeopt.answers.labels import VALUES, Labels, form_of, measured_of, measures, placed
from edgeopt.answers.masks import unmasked
from edgeopt.answers.outputs import Array, Outputs, aligned, check_outputs
from edgeopt.answers.profile import profile
from edgeopt.evaluation.measuring import called, module_of
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import declared, find, of_output, quantities

__all__ = [
    "aligned", "check_moves", "compute", "default_metrics", "difference",
    "figures", "needs_labels", "outputs_with", "ratio",
]  # fmt: skip

DECIDED = "fidelity.agreement"  # of outputs that decide something
MANY_CLASSES = 10  # above, the five highest count too
Given = Array | Labels | None  # a lone array goes to the output that it fits


def default_metrics(outputs: Outputs, labels: Given = None) -> tuple[str, ...]:
    """What is measured of the source's outputs where nobody says otherwise.

    With class labels accuracy and macro F1, and top-5 for more than ten classes; with float
    labels the errors; fidelity always, agreement only where an output decides something.
    """
    metrics: dict[str, None] = {}
    for name, own in placed(labels, outputs).items():
        measured = measured_of(form_of(own), form_of(outputs[name]))
        metrics |= dict.fromkeys(measured)
        if "accuracy" in measured and outputs[name].shape[1] > MANY_CLASSES:
            metrics["top5"] = None
    decides = any(decisions.decides(array, profile(array)) for array in outputs.values())
    near = [q.name for q in quantities().values() if q.usual and q.family == "nearness"]
    return (*metrics, *(name for name in near if decides or name != DECIDED))


def needs_labels(quantity: str) -> bool:
    """Whether a metric compares with labels. Raises UsageError for what is no metric."""
    known = declared(quantity)
    if not known.of_outputs:
        raise UsageError(f"'{quantity}' is not a metric of outputs: it is measured by a race")
    return known.family == "answers"


def outputs_with(quantity: str, outputs: Outputs, labels: Given = None) -> list[str]:
    """The outputs that have a quantity, or the one that it names. Raises DataError for none."""
    base, named = of_output(quantity)
    if named and named not in outputs:
        raise DataError(
            f"'{quantity}': the model has no output '{named}'",
            hint=f"it has: {', '.join(outputs)}",
        )
    if not needs_labels(quantity):
        if base != DECIDED:
            return [named] if named else list(outputs)
        deciding = [n for n in outputs if decisions.decides(outputs[n], profile(outputs[n]))]
        return [named] if named else deciding or list(outputs)[:1]
    if labels is None:
        raise DataError(f"{quantity} needs labels", hint="name the label array under data.label")
    own = placed(labels, outputs)
    fitting = [
        name for name, array in own.items()
        if named in ("", name) and measures(quantity, form_of(array), form_of(outputs[name]))
    ]  # fmt: skip
    if not fitting:
        raise _unfit(quantity, named, outputs, own or labels)
    return fitting


def compute(
    quantity: str, outputs: Outputs, labels: Given = None, source_outputs: Outputs | None = None
) -> Measurement:
    """One metric of one model's outputs; fidelity is against ``source_outputs``.

    Raises UsageError for what is no metric or lacks its source, DataError for labels that are
    missing, fit no output or are out of range (naming the sample), ModelError for outputs that are
    not finite or of the wrong form (naming tensor and sample).
    """
    mine = outputs if source_outputs is None else aligned(outputs, source_outputs)
    if needs_labels(quantity):
        return _of_worst_output(quantity, _labelled("measure", quantity, (mine,), labels))
    if source_outputs is None:
        raise UsageError(f"{quantity} needs the source's outputs")
    return _of_worst_output(quantity, _near(quantity, mine, source_outputs))


def difference(
    quantity: str, outputs: Outputs, source_outputs: Outputs, labels: Given
) -> Measurement:
    """Candidate minus source on the same samples, with a paired interval; of the worst output.

    Raises as ``compute`` does, and UsageError for fidelity, which is against the source as
    it is.
    """
    sides = (aligned(outputs, source_outputs), source_outputs)
    return _of_worst_output(quantity, _labelled("difference", _comparable(quantity), sides, labels))


def ratio(quantity: str, outputs: Outputs, source_outputs: Outputs, labels: Given) -> Measurement:
    """Candidate over source on the same samples, with a paired interval; raises alike."""
    sides = (aligned(outputs, source_outputs), source_outputs)
    return _of_worst_output(quantity, _labelled("ratio", _comparable(quantity), sides, labels))


def figures(
    quantities: Iterable[str],
    outputs: Outputs,
    source: Outputs | None = None,
    labels: Given = None,
    *,
    ratios: Iterable[str] = (),
) -> dict[str, Measurement]:
    """Figures of a model by quantity, and ``difference.Q`` and ``ratio.Q`` to the source.

    Where several outputs have a quantity there are ``Q@OUTPUT`` too, and all that stands without a
    name is of one output, the one that lost most. ``ratios`` are the quantities to give ratios of.
    Raises as ``compute`` does, and ModelError for an output that stands still.
    """
    mine = outputs if source is None else aligned(outputs, source)
    if source is not None:
        check_moves(mine, source)
    measured: dict[str, Measurement] = {}
    for quantity in dict.fromkeys(quantities):
        if needs_labels(quantity):
            parts = {"": _labelled("measure", quantity, (mine,), labels)}
            if source is not None:
                wanted = ("difference", *(["ratio"] if quantity in set(ratios) else []))
                parts |= {f"{way}.": _labelled(way, quantity, (mine, source), labels)
                          for way in wanted}  # fmt: skip
        elif source is None:
            continue
        else:
            parts = {"": _near(quantity, mine, source)}
        measured |= _by_output(quantity, parts, alone=len(mine) == 1)
    return measured


def check_moves(outputs: Outputs, source: Outputs) -> None:
    """Raise ModelError for an output, or a channel of one, that stands still unlike the source's.

    Both by the same names.
    """
    for name, theirs in source.items():
        mine, _ = unmasked(name, outputs[name], theirs)
        standstill.check_moves(name, mine, profile(theirs))


Parts = dict[str, Measurement]  # by output


def _near(quantity: str, mine: Outputs, source: Outputs) -> Parts:
    base, by_output = of_output(quantity)[0], {}
    sides: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    for name in outputs_with(quantity, source):
        both = (mine[name], source[name])
        if base != DECIDED:  # which masks decide, too
            both = unmasked(name, *both)
        sides[0][name], sides[1][name] = both
        by_output[name] = called("measure", base, name, *both, profile(source[name]))
    joint = base != DECIDED and hasattr(module_of(base), "together")
    for first, *others in _alike(sides[1]) if joint else ():
        shared = called("together", base, (first, *others), *sides)
        if shared is not None and not _worst(base, {first: by_output[first], "": shared}):
            named = ", ".join(f"'{name}'" for name in others)
            by_output[first] = shared.model_copy(update={"where": f"what it shares with {named}"})
    return by_output


def _alike(outputs: Outputs) -> list[list[str]]:
    """The float outputs of one shape, where there are several."""
    by_shape: dict[tuple[int, ...], list[str]] = {}
    for name, array in outputs.items():
        if array.dtype.kind == "f":
            by_shape.setdefault(array.shape, []).append(name)
    return [names for names in by_shape.values() if len(names) > 1]


def _labelled(way: str, quantity: str, sides: tuple[Outputs, ...], labels: Given) -> Parts:
    """``measure``, ``difference`` or ``ratio`` of each output that has the quantity."""
    base = of_output(quantity)[0]
    for side in sides:
        check_outputs(side)
    names = outputs_with(quantity, sides[-1], labels)
    own = placed(labels, sides[-1])
    return {
        name: called(way, base, name, *(side[name] for side in sides), own[name]) for name in names
    }


def _by_output(quantity: str, parts: dict[str, Parts], *, alone: bool) -> dict[str, Measurement]:
    """What is kept of one quantity: each output's figures where there are several or one is named,
    and those of the output that lost most under the quantity alone."""
    base, named = of_output(quantity)
    names = list(parts[""])
    kept = {}
    if named or len(names) > 1:
        for prefix, by_output in parts.items():
            for name, measurement in by_output.items():
                key = f"{prefix}{base}@{name}"
                kept[key] = _of(measurement, name, key)
    if named:
        return kept
    worst = _worst(base, parts.get("difference.", parts[""]), parts[""])
    for prefix, by_output in parts.items():
        measurement = by_output[worst]
        kept[f"{prefix}{base}"] = measurement if alone else _of(measurement, worst)
    return kept


def _of_worst_output(quantity: str, by_output: Parts) -> Measurement:
    """The figure of the worst output."""
    base, named = of_output(quantity)
    worst = named or _worst(base, by_output)
    measurement = by_output[worst]
    return _of(measurement, worst) if len(by_output) > 1 or named else measurement


def _of(measurement: Measurement, name: str, key: str = "") -> Measurement:
    changed = {
        "where": f"output '{name}'" + (f", {measurement.where}" if measurement.where else "")
    }
    return measurement.model_copy(update={**changed, **({"quantity": key} if key else {})})


def _worst(base: str, by_output: Parts, values: Parts | None = None) -> str:
    """The output that stands worst; differences in other units by how much of their value, of
    ``values``, they are."""
    known, values = declared(base), values or by_output
    sign = -1.0 if known.less_is_better else 1.0

    def standing(name: str) -> float:
        measurement = by_output[name]
        apart = measurement.quantity.startswith("difference.")
        whole = abs(values[name].value) if apart and known.unit != "fraction" else 1.0
        return sign * measurement.value / (whole or 1.0)

    return min(by_output, key=standing)


def _comparable(quantity: str) -> str:
    if needs_labels(quantity):
        return quantity
    raise UsageError(
        f"{quantity} already compares with the source",
        hint=f"bound it by a number, e.g. '{quantity} >= 0.99'",
    )


def _unfit(quantity: str, named: str, outputs: Outputs, labels: Given) -> DataError:
    """What to say of labels that a quantity cannot be measured with."""
    arrays = labels if isinstance(labels, Mapping) else {"": labels}
    described = ", ".join(
        (f"those of output '{name}' are " if name else "the labels are ")
        + f"{array.dtype}{list(array.shape)}"
        for name, array in arrays.items() if array is not None
    ) or "no labels fit an output"  # fmt: skip
    shapes = ", ".join(f"'{name}' {list(array.shape)}" for name, array in outputs.items())
    where = f" of output '{named}'" if named else ""
    known = find(quantity)
    values = known is not None and known.labels == VALUES
    wanted = (
        "float values to predict, in the shape of an output"
        if values
        else "class labels: one whole number per sample, and an output with a score for each class"
    )
    return DataError(
        f"{quantity}{where} needs {wanted}; {described}; outputs: {shapes}",
        hint="name the output under data.label, measure by a metric of your own, or by "
        "fidelity.cosine",
    )
