"""The one schema of what a user asks for: YAML <-> Recipe <-> keyword arguments."""

from edgeopt.recipe.nouns import LimitSpec, OwnMetric, Recipe
from edgeopt.recipe.reading import load_recipe, make_recipe
from edgeopt.recipe.source import DataSpec, ModelSpec
from edgeopt.recipe.steps import Choice, Step

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
