"""Which output each array of labels speaks of, and whether they can be judged: before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgeopt.answers.labels import (
    CLASSES,
    VALUES,
    Form,
    Given,
    check_output,
    fit,
    form_of_tensor,
    given,
    measured_of,
    measures,
    place,
)
from edgeopt.answers.outputs import check_range
from edgeopt.evaluation import needs_labels
from edgeopt.evaluation.measuring import module_of
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import DataError, PluginError
from edgeopt.schema.job import Arrays
from edgeopt.schema.quantities import declared, is_of_outputs, of_output, quantities
from edgeopt.store import Store

JUDGED = ("validation", "test", "train")  # splits whose labels are held against scores


def labels_of(
    recipe: Recipe, raw: Mapping[str, Arrays], source: Description, store: Store
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Output -> array of its labels, and notes on labels that no metric of edgeopt's reads.

    Raises DataError, at the recipe's line, where an output is open or absent, where labels that
    are to be measured name classes that the output has no score for, and for a metric that is
    listed, bounded or the objective and cannot be measured with the labels there are. Raises
    PluginError, at the line that asks for it, for a metric whose module cannot be called.
    """
    spec = recipe.data
    assert spec is not None
    forms = {tensor.name: form_of_tensor(tensor) for tensor in source.signature.outputs}
    label_arrays = {name: told_of(name, raw, store) for name in spec.label_arrays}
    try:
        if spec.label is None:
            labelled = {}
        elif isinstance(spec.label, str):
            output = place(label_arrays[spec.label], forms)
            labelled = {} if output is None else {output: spec.label}
        else:
            labelled = dict(spec.label)
            for output in labelled:
                check_output(output, forms)
    except DataError as error:
        raise DataError(error.what, where=_line(recipe), hint=error.hint) from None
    for output, array in list(labelled.items()):
        if fit(label_arrays[array].form, forms[output]) == CLASSES:
            try:
                _check_classes(recipe, raw, output, array, forms[output], store)
            except DataError:
                if not recipe.own_metrics or any(needs_labels(q) for _, q in _asked(recipe)):
                    raise
                del labelled[output]  # the user's metric knows what they are
    _check_measurable(recipe, labelled, label_arrays, forms)
    _check_modules(recipe, labelled, label_arrays, forms)
    return labelled, tuple(_notes(recipe, labelled, label_arrays, forms))


def told_of(name: str, raw: Mapping[str, Arrays], store: Store) -> Given:
    """What is known of an array of labels, over all splits that have it."""
    refs = [arrays.labels[name] for arrays in raw.values() if name in arrays.labels]
    return given(name, [store.get_array(ref) for ref in refs])


def _check_classes(
    recipe: Recipe, raw: Mapping[str, Arrays], output: str, array: str, form: Form, store: Store
) -> None:
    """Raise DataError for a label that an output has no score for."""
    classes = form.shape[0]
    if classes is None:
        return
    for role in JUDGED:
        if role in raw:
            labels = store.get_array(raw[role].labels[array]).reshape(-1)
            check_range(labels, classes, output, _line(recipe))


def _check_measurable(
    recipe: Recipe, labelled: Mapping[str, str], label_arrays: Mapping[str, Given],
    forms: Mapping[str, Form],
) -> None:  # fmt: skip
    """Raise DataError for a metric that is asked for and that the labels do not allow."""
    for line, quantity in _asked(recipe):
        known, (_, named) = declared(quantity), of_output(quantity)
        if named and named not in forms:
            raise DataError(
                f"'{quantity}': the model has no output '{named}'",
                where=line,
                hint=f"it has: {', '.join(forms)}",
            )
        if not needs_labels(quantity):
            continue
        if any(
            named in ("", output) and measures(quantity, label_arrays[array].form, forms[output])
            for output, array in labelled.items()
        ):
            continue
        if not label_arrays:
            raise DataError(
                f"{quantity} needs labels and the data has none",
                where=line,
                hint="name the label array under data.label, or measure fidelity.agreement",
            )
        arrays = ", ".join(f"'{each.name}' {_spelled(each)}" for each in label_arrays.values())
        shapes = ", ".join(f"'{n}' {['batch', *form.shape]}" for n, form in forms.items())
        needs = (
            "float values in the shape of an output"
            if known.labels == VALUES
            else "one whole number per sample, and an output with a score for each class"
        )
        raise DataError(
            f"{quantity} cannot be measured: it needs {needs}; the labels are {arrays}, the "
            f"outputs {shapes}",
            where=line,
            hint="measure such labels by a metric of your own (metrics: [{name: NAME, function: "
            "'FILE.py:FUNCTION'}]), or bound fidelity.cosine",
        )


def _check_modules(
    recipe: Recipe, labelled: Mapping[str, str], label_arrays: Mapping[str, Given],
    forms: Mapping[str, Form],
) -> None:  # fmt: skip
    """Load what measures each metric that is asked for, or is measured because none is listed."""
    lines = {of_output(quantity)[0]: line for line, quantity in _asked(recipe)}
    if not recipe.listed_metrics:
        usual = [q.name for q in quantities().values() if q.usual and q.family == "nearness"]
        for output, array in labelled.items():
            usual += measured_of(label_arrays[array].form, forms[output])
        lines = {**dict.fromkeys(usual, ""), **lines}
    for quantity, line in lines.items():
        try:
            module_of(quantity)
        except PluginError as error:
            raise PluginError(error.what, where=line, hint=error.hint) from error


def _spelled(labels: Given) -> str:
    return f"{labels.dtype}{list(labels.shape)}"


def _asked(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """(line, quantity) of every metric of outputs that a recipe names."""
    named = [(recipe.line("constraints", i), c.quantity)
             for i, c in enumerate(recipe.parsed_constraints())]  # fmt: skip
    named += [(recipe.line("metrics"), quantity) for quantity in recipe.listed_metrics]
    named += [(recipe.line("objective"), recipe.objective_for(target))
              for target in recipe.parsed_targets()]  # fmt: skip
    for line, quantity in named:
        if is_of_outputs(quantity):
            yield line, quantity


def _notes(
    recipe: Recipe, labelled: Mapping[str, str], label_arrays: Mapping[str, Given],
    forms: Mapping[str, Form],
) -> Iterator[str]:  # fmt: skip
    yield from _choices(recipe, labelled, label_arrays, forms)
    if recipe.own_metrics or recipe.listed_metrics:
        return
    for name, each in label_arrays.items():
        outputs = [output for output, array in labelled.items() if array == name]
        if not any(measured_of(each.form, forms[output]) for output in outputs):
            yield (
                f"no metric of edgeopt reads the labels '{name}' {_spelled(each)}: only the "
                "distance of outputs from the source's is measured; a metric of your own can "
                "read them (metrics)"
            )


def _choices(
    recipe: Recipe, labelled: Mapping[str, str], label_arrays: Mapping[str, Given],
    forms: Mapping[str, Form],
) -> Iterator[str]:  # fmt: skip
    """What was taken for granted of a lone array, and outputs that nothing bounds."""
    data = recipe.data
    if data is None or not labelled:
        return
    for output, array in labelled.items():
        others = [
            n for n, form in forms.items() if n != output and fit(label_arrays[array].form, form)
        ]
        if isinstance(data.label, str) and array != output and others:
            yield (
                f"the labels '{array}' are used for output '{output}', because of the classes they "
                f"name, though they would fit '{others[0]}' too; to be explicit, give a map: "
                f"data.label: {{OUTPUT: {array}}}"
            )
    bounds = [c.quantity for c in recipe.parsed_constraints() if is_of_outputs(c.quantity)]
    held = {of_output(quantity)[1] for quantity in bounds}
    if not bounds or any(not needs_labels(q) and not of_output(q)[1] for q in bounds):
        return
    free = [name for name in forms if name not in labelled and name not in held]
    if free:
        yield (
            f"no bound covers the output{'s' if len(free) > 1 else ''} "
            f"{', '.join(map(repr, free))}, which no label covers: add e.g. "
            f"'fidelity.sqnr@{free[0]} >= 9 dB'"
        )


def _line(recipe: Recipe) -> str:
    return recipe.line("data", "label")
