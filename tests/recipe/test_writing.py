"""Recipes as files: what is written says the same as what was asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeopt.recipe import Recipe, load_recipe, make_recipe
from edgeopt.recipe.writing import made_recipe, written

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def of(recipe: Recipe) -> dict[str, object]:
    """What it asks for, paths as they lie on this machine."""
    fields = recipe.spelled()
    for section in (fields["model"], fields["data"]):
        for key, value in section.items():
            if isinstance(value, str) and ("/" in value or value.endswith((".npz", ".npy"))):
                section[key] = os.path.normpath(recipe.root / value)
    return fields


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_what_is_written_elsewhere_asks_for_the_same(tmp_path: Path, path: Path) -> None:
    """Every recipe of the project, moved into another folder."""
    asked = load_recipe(path)
    (tmp_path / "recipe.yaml").write_text(written(asked, tmp_path))
    assert of(load_recipe(tmp_path / "recipe.yaml")) == of(asked)


def test_keys_have_comments_and_what_goes_without_saying_is_left_out(tmp_path: Path) -> None:
    asked = make_recipe({"model": "m.onnx", "passes": [{"one_of": ["none", "fp16"]}]})
    text = written(asked, Path())
    assert "# the network as it was trained\nmodel:\n  path: m.onnx\n" in text
    assert "  - one_of: [none, fp16]\n" in text
    assert not {"seed", "limits", "targets", "data"} & {
        line.partition(":")[0] for line in text.split("\n")
    }


def test_modules_and_functions_keep_their_names(tmp_path: Path) -> None:
    model = {"factory": "package.module:make", "format": "torch", "sources": ["a.py"]}
    data = {"source": "load.py:samples", "splits": {"validation": 8}, "label": "y"}
    own = {"name": "mine", "function": "metrics.py:mine"}
    asked = make_recipe({"model": model, "data": data, "metrics": [own]}, root=tmp_path)
    text = written(asked, tmp_path / "deep")
    assert "factory: package.module:make" in text and "sources: [../a.py]" in text
    assert "source: ../load.py:samples" in text and "function: ../metrics.py:mine" in text


def test_a_file_of_the_users_is_not_overwritten(tmp_path: Path) -> None:
    asked = make_recipe({"model": "m.onnx", "passes": ["fp16"]})
    first = made_recipe(asked, tmp_path)
    assert first is not None
    (tmp_path / "recipe.yaml").write_text(first)
    assert made_recipe(asked, tmp_path) == first
    (tmp_path / "recipe.yaml").write_text("model: mine.onnx\n")
    assert made_recipe(asked, tmp_path) is None
    assert (tmp_path / "recipe.yaml").read_text() == "model: mine.onnx\n"
    with_file = make_recipe({"model": "m.onnx"}, path=tmp_path / "own.yaml")
    assert made_recipe(with_file, tmp_path / "other") is None
