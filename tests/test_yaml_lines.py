"""Errors of files that users write: line, key and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeopt.recipe import make_recipe
from edgeopt.schema.errors import RecipeError, UsageError
from edgeopt.yaml_lines import read_yaml


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metrics": [{"name": "a b", "function": "f.py:f"}]}, "'metrics.0.name': String should"),
        ({"metrics": [{"nme": "a", "function": "f.py:f"}]}, "unknown key 'nme' in 'metrics.0'"),
        ({"metrics": [3]}, "'metrics.0': must be text or a map"),
        ({"constraints": [{"on": "local"}]}, "'constraints.0.require': is missing"),
        ({"constraints": [{"requir": "x"}]}, "unknown key 'requir' in 'constraints.0'"),
        ({"objective": 3}, "'objective': must be text or a map"),
        ({"objective": {"local": 3}}, "'objective.local': must be text"),
        ({"model": 3}, "'model': must be a map"),
        ({"seed": True}, "'seed': must be an integer"),
        (
            {"data": {"source": "a", "splits": {"validation": []}}},
            "'data.splits.validation': must be text or an integer",
        ),
    ],
    ids=str,
)
def test_a_value_of_several_forms_is_judged_by_the_one_that_it_has(
    fields: dict[str, Any], message: str
) -> None:
    """Guards against names of our own types, and keys of the whole recipe, in an error."""
    with pytest.raises(RecipeError) as caught:
        make_recipe({"model": "m.onnx", **fields})
    assert caught.value.what.startswith(message)


def test_a_misspelt_key_of_a_form_is_answered_with_its_own() -> None:
    with pytest.raises(RecipeError) as caught:
        make_recipe({"model": "m.onnx", "constraints": [{"on": "local", "requir": "x"}]})
    assert caught.value.hint == "Did you mean 'require'?"


def test_lines_are_those_of_keys_and_items(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb:\n  - x\n  - c: {d: 2}\n")
    values, lines = read_yaml(path)
    assert values == {"a": 1, "b": ["x", {"c": {"d": 2}}]}
    assert (lines["a"], lines["b"], lines["b.0"], lines["b.1"], lines["b.1.c"]) == (1, 2, 3, 4, 4)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [("a: [1,\n", 2, ""), ("a: 1\na: 2\n", 2, "duplicate key"), ("1: 2\n", 1, "keys are words")],
)
def test_what_is_no_yaml_is_named_with_its_line(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_yaml(path)
    assert caught.value.where == f"{path}:{line}"
