"""``--speedup``: three stages before a recipe's own steps, and what cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeopt.recipe import Recipe, load_recipe
from edgeopt.recipe.speedup import with_speedup
from edgeopt.schema.errors import UsageError

TEXT = """\
model: {factory: "net.py:net", weights: w.safetensors}
data: {source: d.npz, splits: {train: train, calibration: train, validation: validation}}
passes:
  - export-onnx
  - STAGE
"""


def recipe(folder: Path, stage: str = "simplify-onnx") -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(TEXT.replace("STAGE", stage))
    return load_recipe(path)


def test_the_stages_come_first_and_lines_stay_true(tmp_path: Path) -> None:
    before = recipe(tmp_path)
    after = with_speedup(before, "4x")
    spelled = after.spelled()["passes"]
    assert spelled[:2] == [{"prune-structured": {"speedup": "4x"}}, {"distill": {}}]
    assert spelled[2] == {"one_of": ["none", {"qat": {}}]}
    assert spelled[3:] == before.spelled()["passes"]
    assert after.line("passes", 4) == before.line("passes", 1)


@pytest.mark.parametrize("text", ["4", "fast", "1x", "-2x", "0.5x", "x"])
def test_what_is_no_speed_up_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="cannot read the speed-up"):
        with_speedup(recipe(tmp_path), text)


def test_a_recipe_with_stages_of_its_own_says_where(tmp_path: Path) -> None:
    own = recipe(tmp_path, "prune-structured: {macs: 0.5}")
    with pytest.raises(UsageError, match="'prune-structured'") as caught:
        with_speedup(own, "2x")
    assert caught.value.where.endswith("recipe.yaml:5")
