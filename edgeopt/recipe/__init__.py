"""The one schema of what a user asks for: YAML <-> Recipe <-> keyword arguments."""

from edgeopt.recipe.nouns import Choice, DataSpec, LimitSpec, ModelSpec, OwnMetric, Recipe, Step
from edgeopt.recipe.reading import load_recipe, make_recipe

__all__ = [
    "Choice",
    "DataSpec",
    "LimitSpec",
    "ModelSpec",
    "OwnMetric",
    "Recipe",
    "Step",
    "load_recipe",
    "make_recipe",
]
