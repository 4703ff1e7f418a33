"""The schema of recipes, held against what is read: a real validator and the real reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from edgeopt.recipe import make_recipe
from edgeopt.recipe.form import recipe_schema
from edgeopt.recipe.reading import INTERNAL
from edgeopt.schema.errors import EdgeoptError
from edgeopt.step import registry

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = recipe_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_every_shipped_recipe_is_valid(validator: Draft202012Validator) -> None:
    assert RECIPES
    for path in RECIPES:
        validator.validate(YAML(typ="safe", pure=True).load(path.read_text()))


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "m.onnx"},
        {"model": {"path": "m.onnx"}, "targets": "local/onnxruntime"},
        {"model": "m.onnx", "constraints": {"on": "local", "require": "size <= 1 MB"}},
        {"model": "m.onnx", "metrics": None},
        {"model": "m.onnx", "metrics": {"name": "iou", "function": "m.py:iou"}},
        {"model": "m.onnx", "passes": ["simplify-onnx", {"fp16": None}]},
        {"model": "m.onnx", "passes": [{"one_of": ["none", {"quantize-int8": {}}]}]},
    ],
)
def test_what_is_read_is_valid(validator: Draft202012Validator, fields: dict[str, Any]) -> None:
    assert make_recipe(fields)
    validator.validate(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"model": 1},
        {"model": "m.onnx", "pases": []},
        {"model": {"path": "m.onnx", "format": "caffe"}},
        {"model": "m.onnx", "passes": ["quantize-int9"]},
        {"model": "m.onnx", "passes": [{"quantize-int8": {"shceme": "auto"}}]},
        {"model": "m.onnx", "passes": [{"one_of": []}]},
        {"model": "m.onnx", "limits": {"candidates": 0}},
        *({"model": "m.onnx", name: {}} for name in INTERNAL),
    ],
    ids=str,
)
def test_what_is_refused_is_invalid(
    validator: Draft202012Validator, fields: dict[str, Any]
) -> None:
    with pytest.raises(EdgeoptError):
        make_recipe(fields)
    assert not validator.is_valid(fields)


def test_every_pass_is_in_it_with_the_fields_of_each_format() -> None:
    passes = recipe_schema()["$defs"]["Pass"]["anyOf"]
    names = passes[0]["enum"]
    assert names[0] == "none" and set(names[1:]) == {name for name, _ in registry()}
    (int8,) = [form for form in passes[1:] if "quantize-int8" in form["properties"]]
    formats = [kind for (name, _), kind in registry().items() if name == "quantize-int8"]
    assert len(int8["properties"]["quantize-int8"]["anyOf"]) == len(formats) + 1
