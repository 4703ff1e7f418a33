"""What a recipe asks of a device that the device cannot measure: an error before any work."""

from __future__ import annotations

from collections.abc import Iterable

from edgeopt.recipe import Recipe
from edgeopt.schema.errors import UsageError
from edgeopt.schema.quantities import find, needs_race
from edgeopt.schema.target import Target, TargetGroup


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


def check_unraced(recipe: Recipe, *, bench: bool = True, quick: bool = False) -> None:
    """Raise UsageError where a run without races is asked for what only a race can tell.

    That is a constraint, with its line, or ``quick`` races; nor does it go with no ``bench``.
    """
    if quick or not bench:
        other = "--quick shortens races" if quick else "--no-bench does not even score"
        raise UsageError(
            f"--no-race and {other.split()[0]} exclude each other: {other}, and --no-race scores "
            "and runs no race",
            hint="leave out one of them",
        )
    for index, constraint in enumerate(recipe.parsed_constraints()):
        if needs_race(constraint.quantity):
            raise UsageError(
                f"'{constraint.text}' needs a race, and a run without races measures no "
                f"{constraint.quantity}",
                where=recipe.line("constraints", index),
                hint="leave out --no-race, or this constraint",
            )


def unraced_notes(recipe: Recipe) -> list[str]:
    """What a run without races leaves out, and what chose in place of each such objective."""
    asked = dict.fromkeys(map(recipe.objective_for, recipe.parsed_targets()))
    by_size = [quantity for quantity in asked if needs_race(quantity)]
    text = "no race was run (--no-race): no time was taken, and memory was not measured"
    if by_size:
        text += (
            f"; {' and '.join(by_size)} would need a race, so the smallest of the files that meet "
            "the constraints was chosen"
        )
    return [text]


def objective_of(recipe: Recipe, target: Target, *, raced: bool) -> str:
    """The quantity that chooses on a target: the size where the objective needs a race."""
    asked = recipe.objective_for(target)
    return asked if raced or not needs_race(asked) else "size"


def _lacks(quantity: str, has: Iterable[str]) -> bool:
    declared = find(quantity)
    return declared is not None and declared.of_device and declared.family not in has


def _listed(has: Iterable[str]) -> str:
    return ", ".join(sorted(has))
