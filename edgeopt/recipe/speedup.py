"""One shot: how much faster, and nothing else; the stages are put before a recipe's own steps."""

from __future__ import annotations

import re
from typing import Any

from edgeopt.recipe.nouns import Recipe
from edgeopt.recipe.stages import check_stages, stages_of
from edgeopt.recipe.steps import Step
from edgeopt.schema.errors import UsageError


def with_speedup(recipe: Recipe, speedup: str) -> Recipe:
    """The recipe, its network pruned to a measured speed-up and distilled before all else.

    INT8 is tried both ways, trained with and made afterwards by the recipe's own steps. As with
    every stage, the network without it is measured beside. Raises UsageError for what is
    no speed-up, and for a recipe that has stages of its own; RecipeError for a model that stages
    cannot change.
    """
    asked: list[dict[str, Any]] = [
        {"prune-structured": {"speedup": speedup}},
        {"distill": {}},
        {"one_of": ["none", {"qat": {}}]},
    ]
    try:
        stages = [Step.model_validate(each) for each in asked]
    except ValueError:
        raise UsageError(
            f"cannot read the speed-up '{speedup}'", hint="write how many times faster, e.g. 4x"
        ) from None
    for index, choice in stages_of(recipe):
        raise UsageError(
            f"the recipe already says how its network changes: '{choice.name}'",
            where=recipe.line("passes", index),
            hint=f"leave --speedup out and write prune-structured: {{speedup: {speedup}}}",
        )
    lines = {_shifted(at, len(stages)): line for at, line in recipe.lines.items()}
    faster = recipe.model_copy(update={"passes": (*stages, *recipe.passes), "lines": lines})
    check_stages(faster)
    return faster


def _shifted(at: str, count: int) -> str:
    """The place of a step that others were put before."""
    return re.sub(r"^passes\.(\d+)", lambda match: f"passes.{int(match[1]) + count}", at)
