"""Recipes: what is read, what is refused, and where the blame is laid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from edgeopt.recipe import Recipe, load_recipe, make_recipe
from edgeopt.schema.errors import EdgeoptError, RecipeError
from edgeopt.schema.target import parse_target

TEXT = """\
model: {format: torch, factory: "net.py:resnet", weights: source.safetensors}
data:
  source: samples.npz
  inputs: {image: images}
  label: label
  splits:
    calibration: "train[:512]"
    validation: validation
  preprocess: [{scale: 255}]
targets: [local/onnxruntime]
objective: {local: latency.p50}
constraints: ["accuracy >= source - 1.0pt", {on: local, require: latency.p99 <= 8 ms}]
passes:
  - export-onnx: {}
  - one_of: [none, {quantize-int8: {scheme: auto}}]
limits: {candidates: 20, time: 30 min}
seed: 7
"""


def read(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return load_recipe(path)


def test_every_key_is_read(tmp_path: Path) -> None:
    recipe = read(tmp_path, TEXT)
    assert recipe.model.factory == "net.py:resnet"
    assert recipe.root == tmp_path
    assert recipe.seed == 7
    assert recipe.limits.time_s == 1800
    assert [c.name for c in recipe.passes[1].choices] == ["none", "quantize-int8"]
    assert recipe.passes[1].choices[1].fields == {"scheme": "auto"}
    assert recipe.parsed_constraints()[1].on == "local"


def test_spelled_form_reads_back_equal(tmp_path: Path) -> None:
    recipe = read(tmp_path, TEXT)
    assert make_recipe(recipe.spelled()).spelled() == recipe.spelled()


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("targets:", "target:", 10, "Did you mean 'targets'?"),
        ("label: label", "labl: label", 5, "Did you mean 'label'?"),
        ("seed: 7", "seed: 7\nseed: 8", 18, "duplicate key"),
        ("seed: 7", "seed: seven", 17, "integer"),
        ("30 min", "30 minutes", 16, "cannot read the time '30 minutes'"),
        ("local/onnxruntime", "local/onnxruntim", 10, "Did you mean 'onnxruntime'?"),
        ("accuracy >=", "acuracy >=", 12, "Did you mean 'accuracy'?"),
        ("8 ms", "8 kB", 12, "units: us, ms, s"),
        ("on: local", "on: remote", 12, "names none of the targets"),
        ("quantize-int8", "quantize-int9", 15, "Did you mean 'quantize-int8'?"),
        ("scheme: auto", "shceme: auto", 15, "Did you mean 'scheme'?"),
        ("    validation: validation\n", "", 6, "'validation' split is needed"),
        ("weights: source", "wieghts: source", 1, "Did you mean 'weights'?"),
        ("{local: latency.p50}", "latency.p49", 11, "unknown quantity 'latency.p49'"),
        ("  label: label\n", "", 11, "needs labels"),
        ("[none, {", "[{none: {a: 1}}, {", 15, "'none' takes no fields"),
        ("seed: 7", "root: /", 17, "unknown key 'root'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    assert old in TEXT
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, TEXT.replace(old, new, 1))
    assert f"recipe.yaml:{line}" in caught.value.where
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_usual_names_of_splits_and_a_pass_alone_are_taken(tmp_path: Path) -> None:
    text = TEXT.replace("calibration: ", "calib: ").replace("    validation:", "    valid:")
    recipe = read(tmp_path, text.split("passes:")[0] + "passes: fp16\n")
    assert recipe.data is not None
    assert recipe.data.splits == {"calibration": "train[:512]", "validation": "validation"}
    assert [step.choices[0].name for step in recipe.passes] == ["fp16"]
    with pytest.raises(RecipeError, match="two of its names are of one role, 'validation'"):
        read(tmp_path, TEXT.replace("    validation:", "    val: test\n    validation:"))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: [1,", "\tmodel: x", "1: 2"])
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError):
        read(tmp_path, text)


def test_keyword_arguments_equal_the_file(tmp_path: Path) -> None:
    plain = YAML(typ="safe", pure=True).load(TEXT)
    assert make_recipe(plain).spelled() == read(tmp_path, TEXT).spelled()


@given(st.text(max_size=60))
def test_any_text_as_a_target_is_read_or_refused(text: str) -> None:
    try:
        target = parse_target(text)
    except EdgeoptError:
        return
    assert parse_target(str(target)) == target


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*Recipe.model_fields, "other"]), json_values))
def test_any_fields_make_a_recipe_or_a_typed_error(fields: dict[str, Any]) -> None:
    try:
        recipe = make_recipe(fields)
    except EdgeoptError as error:
        assert error.what
        return
    assert make_recipe(recipe.spelled()).spelled() == recipe.spelled()
