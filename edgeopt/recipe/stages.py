"""The steps of a recipe that change the network itself."""

from __future__ import annotations

from collections.abc import Iterator

from edgeopt.recipe.nouns import Recipe
from edgeopt.recipe.steps import Choice


def stages_of(recipe: Recipe) -> Iterator[tuple[int, Choice]]:
    """The stages, each with the number of its step."""
    for index, step in enumerate(recipe.passes):
        yield from ((index, choice) for choice in step.choices if choice.stage)


def check_stages(recipe: Recipe) -> None:
    """Raise RecipeError for a stage of an exported program: nothing could build it, changed."""
    if not str(recipe.model.path).lower().endswith(".pt2"):
        return
    for index, choice in stages_of(recipe):
        raise recipe.error(
            f"passes.{index}",
            f"'{choice.name}' changes the network, and "
            + ("a live module" if recipe.held else "an exported program")
            + " has no factory to rebuild it with changes",
            hint="give the model as a factory with weights, model: {factory: 'net.py:make', "
            "weights: net.safetensors}, or prune and distill the module before, by edgeopt.passes",
        )
