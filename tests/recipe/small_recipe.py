"""Recipes of a few fields, made or refused."""

from __future__ import annotations

from typing import Any

import pytest

from edgeopt.recipe import Recipe, make_recipe
from edgeopt.schema.errors import RecipeError

SPLITS = {"validation": "validation"}


def recipe(**fields: Any) -> Recipe:
    return make_recipe({"model": "m.onnx", **fields})


def with_data(**fields: Any) -> Recipe:
    return recipe(data={"source": "d.npz", "splits": SPLITS, **fields})


def refused(**fields: Any) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        recipe(**fields)
    return caught.value
