"""What a recipe leaves open, and the recipe with numbers in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgeopt import step_calls
from edgeopt.planner.jobs import TO_TORCH
from edgeopt.recipe import Choice, Recipe
from edgeopt.recipe.steps import Step
from edgeopt.step import Open, passes_named

EARLY = 4  # a first look at a student is trained for so much less


@dataclass
class Place:
    """Where a recipe leaves something open: step, alternative, its fields and what is sought."""

    step: int
    choice: int
    fields: dict[str, Any]
    open: Open


def places(recipe: Recipe) -> Iterator[Place]:
    """Every alternative of a recipe that leaves something open."""
    for index, step in enumerate(recipe.passes):
        for number, choice in enumerate(step.choices):
            if choice.name == "none":
                continue
            for kind in passes_named(choice.name).values():
                left_open = step_calls.open_of(kind, choice.fields)
                if left_open is not None:
                    yield Place(index, number, dict(choice.fields), left_open)
                    break


def with_fractions(
    recipe: Recipe, place: Place, fractions: Sequence[float], *, only: bool = False
) -> Recipe:
    """The recipe with fractions in place of what is open; ``only``: no other alternative there."""
    step = recipe.passes[place.step]
    choice = step.choices[place.choice]
    rest = {k: v for k, v in place.fields.items() if k not in place.open.fields}
    closed = tuple(
        Choice(name=choice.name, fields={**rest, place.open.closes: round(fraction, 4)})
        for fraction in fractions
    )
    before, after = step.choices[: place.choice], step.choices[place.choice + 1 :]
    choices = closed if only else (*before, *closed, *after)
    passes = list(recipe.passes)
    passes[place.step] = step.model_copy(update={"choices": choices})
    return recipe.model_copy(update={"passes": tuple(passes)})


def without_stages(recipe: Recipe, keep: int | None = None) -> Recipe:
    """The recipe without its stages, but for the step ``keep``."""
    passes = tuple(
        step
        for index, step in enumerate(recipe.passes)
        if index == keep or not any(choice.stage for choice in step.choices)
    )
    return recipe.model_copy(update={"passes": passes})


def rebuilt(recipe: Recipe, at: int) -> Recipe:
    """The recipe without its stages, the step ``at`` tried as to-torch: what stages change of a
    source that is no torch module is what it was rebuilt as.
    """
    beside = Step(choices=(Choice(name="none"), Choice(name=TO_TORCH)))
    passes = tuple(
        beside if index == at else step
        for index, step in enumerate(recipe.passes)
        if index == at or not any(choice.stage for choice in step.choices)
    )
    return recipe.model_copy(update={"passes": passes})


def sooner(recipe: Recipe) -> Recipe:
    """The recipe with a fraction of the epochs of everything that trains."""
    passes = []
    for step in recipe.passes:
        choices = []
        for choice in step.choices:
            fields = dict(choice.fields)
            if choice.stage:
                for kind in passes_named(choice.name).values():
                    if "epochs" in kind.model_fields:
                        default = kind.model_fields["epochs"].default
                        fields["epochs"] = max(1, fields.get("epochs", default) // EARLY)
            choices.append(choice.model_copy(update={"fields": fields}))
        passes.append(step.model_copy(update={"choices": tuple(choices)}))
    return recipe.model_copy(update={"passes": tuple(passes)})
