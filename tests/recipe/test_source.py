"""Which models and data a recipe refuses, and what it makes of what is left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_recipe import SPLITS, recipe, refused, with_data

# -- the model


def test_a_bare_string_is_the_model_s_path() -> None:
    assert recipe().model.path == "m.onnx"
    assert recipe() == recipe(model={"path": "m.onnx"})


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({}, "give either 'path' (a model file) or 'factory'"),
        ({"path": "m.onnx", "factory": "net.py:net"}, "give either 'path'"),
        ({"factory": "net.py:net", "format": "onnx"}, "a factory makes a torch model, not 'onnx'"),
        ({"factory": "net.py"}, "'factory' is FILE.py:CALLABLE"),
        ({"path": "m.pt2", "weights": "w"}, "'weights' and 'sources' go with 'factory'"),
        ({"path": "m.pt2", "sources": ["a.py"]}, "'weights' and 'sources' go with 'factory'"),
        ({"path": "m.onnx", "format": "caffe"}, "Input should be 'keras'"),
    ],
)
def test_a_model_is_one_file_or_one_factory(model: dict[str, Any], said: str) -> None:
    assert said in refused(model=model).what


# -- the data


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"splits": {"test": "test"}}, "a 'validation' split is needed"),
        ({"splits": {"validation": 0}}, "a count of samples is at least 1, not 0"),
        ({"splits": {"validation": 2.5}}, "valid"),
        ({"label": {}}, "'label' is an empty map"),
        ({"classes": []}, "names of classes are a list, or a text file"),
        ({"classes": {"scores": 3}}, "names of classes are a list, or a text file"),
        ({"classes": ["a", 1]}, "the name of a class is text, not 1; put it in quotes"),
        ({"classes": ["a", " "]}, "the name of a class is text, not ' '"),
        ({"classes": ["a", "b", "a"]}, "two classes are called 'a'"),
        ({"classes": {"scores": ["a", "a"]}}, "two classes are called 'a'"),
        ({"timeout": "soon"}, "cannot read the time 'soon'"),
    ],
)
def test_data_that_cannot_be_meant_is_refused(fields: dict[str, Any], said: str) -> None:
    assert said in refused(data={"source": "d.npz", "splits": SPLITS, **fields}).what


@pytest.mark.parametrize(
    ("label", "arrays"),
    [
        (None, ()),
        ("label", ("label",)),
        ({"a": "x", "b": "y", "c": "x"}, ("x", "y")),
    ],
)
def test_each_array_of_labels_is_named_once(label: Any, arrays: tuple[str, ...]) -> None:
    data = with_data(label=label).data
    assert data is not None and data.label_arrays == arrays


def test_names_of_classes_are_listed_or_lie_in_a_file() -> None:
    for classes in ("names.txt", ["a", "b"], {"scores": "names.txt", "other": ["a"]}, None):
        assert with_data(classes=classes).data is not None


def test_counts_of_samples_are_taken_one_after_the_other() -> None:
    """In the order of the roles, however the recipe lists them."""
    splits = {"test": 5, "validation": 20, "calibration": 10, "train": "train[:9]"}
    data = with_data(splits=splits).data
    assert data is not None
    assert data.selections == {
        "calibration": "samples[0:10]", "validation": "samples[10:30]", "test": "samples[30:35]",
        "train": "train[:9]",
    }  # fmt: skip


@given(
    st.integers(1, 999), st.sampled_from([("s", 1), ("min", 60), ("h", 3600)]),
    st.sampled_from(["", " "]),
)  # fmt: skip
def test_times_have_a_unit(number: int, unit: tuple[str, int], space: str) -> None:
    made = recipe(limits={"time": f"{number}{space}{unit[0]}"})
    assert made.limits.time_s == number * unit[1]


@pytest.mark.parametrize("text", ["30", "0 s", "-1 min", "1 day", "1e3 s", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    assert f"cannot read the time '{text}'" in refused(limits={"time": text}).what


def test_limits_have_defaults() -> None:
    assert recipe().limits.candidates == 200 and recipe().limits.time_s is None
    assert "greater than or equal to 1" in refused(limits={"candidates": 0}).what
