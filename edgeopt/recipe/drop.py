"""One bound in one word: how much of the first metric may be lost."""

from __future__ import annotations

from edgeopt.answers.labels import VALUES
from edgeopt.recipe.bare import label_kind
from edgeopt.recipe.nouns import Recipe
from edgeopt.schema.errors import UsageError
from edgeopt.schema.quantities import declared, of_output

WHERE = "--max-drop"


def with_max_drop(recipe: Recipe, drop: str) -> Recipe:
    """The recipe with ``METRIC >= source - DROP`` in place of its bounds on the first metric, and
    ``<= source + DROP`` where less is better.

    The first metric is the first that the recipe lists and that labels judge; else accuracy, or the
    mean squared error where labels are values. Raises UsageError without labels, and where the unit
    does not fit.
    """
    if recipe.data is None or recipe.data.label is None:
        raise UsageError(
            "nothing can be lost that is not measured: the data has no labels",
            where=WHERE,
            hint="name their array (--label, or data.label), or bound the distance of the outputs: "
            "--constraint 'fidelity.sqnr >= 20 dB'",
        )
    metric = first_metric(recipe)
    if declared(metric).unit == "fraction" and drop.strip().replace(".", "", 1).isdigit():
        raise UsageError(f"'{drop}' has no unit", where=WHERE, hint=f"write {drop.strip()}pt")
    own = {f"metric.{each.name}": each.better == "less" for each in recipe.own_metrics}
    less = own.get(metric, declared(metric).less_is_better)
    bound = f"{metric} {'<=' if less else '>='} source {'+' if less else '-'} {drop.strip()}"
    kept = tuple(
        given
        for given, parsed in zip(recipe.constraints, recipe.parsed_constraints(), strict=True)
        if metric not in (parsed.quantity, of_output(parsed.quantity)[0])
    )
    lines = {at: n for at, n in recipe.lines.items() if not at.startswith("constraints")}
    changed = recipe.model_copy(update={"constraints": (*kept, bound), "lines": lines})
    try:
        changed.parsed_constraints()
    except UsageError as error:
        raise UsageError(error.what, where=WHERE, hint=error.hint) from None
    return changed


def first_metric(recipe: Recipe) -> str:
    """What a drop is of."""
    for name in recipe.metric_names:
        if declared(name).family != "nearness":
            return name
    spec = recipe.data
    assert spec is not None
    if recipe.held:
        held = recipe.held.get(f"{spec.splits['validation']}.{spec.label_arrays[0]}", {})
        return "mse" if "float" in str(held.get("dtype")) else "accuracy"
    kind = label_kind({**spec.to_json(), "source": str(recipe.root / spec.source)})
    return "mse" if kind == VALUES else "accuracy"
