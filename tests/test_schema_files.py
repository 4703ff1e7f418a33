"""The JSON Schemas in docs/schema: up to date, and true of what edgeopt reads and writes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from ruamel.yaml import YAML

from edgeopt.recipe import load_recipe

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "schema"
RECIPES = [*sorted((ROOT / "recipes").glob("*.yaml")), ROOT / "benchmarks" / "schemes.yaml"]


def script(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_files_are_what_the_script_writes() -> None:
    for name, text in script(FOLDER / "make.py").schemas().items():
        assert (FOLDER / name).read_text() == text, "run python docs/schema/make.py"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_shipped_recipes_validate_as_written_and_as_spelled_in_a_result(path: Path) -> None:
    validator("recipe").validate(YAML(typ="safe").load(path.read_text()))
    validator("recipe").validate(load_recipe(path).spelled())


@pytest.mark.parametrize(
    "change",
    [
        {"constrains": []},
        {"passes": [{"quantize-int8": {"schema": "u8s8"}}]},
        {"passes": ["quantise-int8"]},
        {"passes": [{"one_of": []}]},
        {"seed": "zero"},
        {"root": "/"},
    ],
    ids=str,
)
def test_what_edgeopt_refuses_does_not_validate(change: dict[str, Any]) -> None:
    recipe = {"model": "m.onnx", "targets": "local/onnxruntime", "passes": ["fp16"]}
    validator("recipe").validate(recipe)
    with pytest.raises(ValidationError):
        validator("recipe").validate({**recipe, **change})


def test_a_result_validates() -> None:
    result = script(ROOT / "tests" / "report" / "result_sample.py").sample_result()
    validator("result").validate(result.to_json())
    with pytest.raises(ValidationError):
        validator("result").validate({**result.to_json(), "surprise": 1})
