"""Stages where a model can be built again, and where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeopt.recipe import load_recipe, make_recipe
from edgeopt.recipe.speedup import with_speedup
from edgeopt.schema.errors import RecipeError

PROGRAM = """\
model: net.pt2
data: {source: d.npz, splits: {train: train, validation: validation}}
passes:
  - export-onnx
"""


def test_a_stage_of_an_exported_program_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(PROGRAM + "  - one_of: [none, distill]\n")
    with pytest.raises(RecipeError, match=r"'distill' changes the network.*no factory") as caught:
        load_recipe(path)
    assert caught.value.where.endswith("recipe.yaml:5")
    assert "factory" in caught.value.hint


def test_so_is_a_speed_up(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(PROGRAM)
    with pytest.raises(RecipeError, match=r"'prune-structured'.*an exported program"):
        with_speedup(load_recipe(path), "2x")


def test_a_network_with_a_factory_takes_stages() -> None:
    made = make_recipe({"model": {"factory": "net.py:net"}, "passes": ["distill", "export-onnx"]})
    assert next(choice.name for step in made.passes for choice in step.choices) == "distill"
