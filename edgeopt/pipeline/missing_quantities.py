"""What a recipe asks of a device that the device cannot measure: an error before any work."""

from __future__ import annotations

from collections.abc import Iterable

from edgeopt.recipe import Recipe
from edgeopt.schema.errors import UsageError
from edgeopt.schema.quantities import find
from edgeopt.schema.target import TargetGroup


def check_quantities(recipe: Recipe, groups: Iterable[TargetGroup]) -> None:
    """Raise UsageError, with its line, for a constraint or objective that a device lacks."""
    for group in groups:
        has = group.members[0][1].quantities
        for index, constraint in enumerate(recipe.parsed_constraints()):
            places = (str(group), *(str(target) for target, _ in group.members))
            if _lacks(constraint.quantity, has) and any(map(constraint.applies, places)):
                raise UsageError(
                    f"'{constraint.text}': {group.asked.device} does not measure "
                    f"{constraint.quantity}",
                    where=recipe.line("constraints", index),
                    hint=f"it measures {_listed(has)}; limit it to other targets with "
                    "{on: TARGET, require: ...}",
                )
        objective = recipe.objective_for(group.asked)
        if _lacks(objective, has):
            raise UsageError(
                f"the objective is {objective}, and {group.asked.device} does not measure it",
                where=recipe.line("objective"),
                hint=f"it measures {_listed(has)}; an objective may be a map of target to quantity",
            )


def _lacks(quantity: str, has: Iterable[str]) -> bool:
    declared = find(quantity)
    return declared is not None and declared.of_device and declared.family not in has


def _listed(has: Iterable[str]) -> str:
    return ", ".join(sorted(has))
