"""What a recipe's nouns refuse, and what they make of what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.recipe import Recipe, make_recipe
from edgeopt.schema.errors import RecipeError
from edgeopt.schema.target import parse_target

SPLITS = {"validation": "validation"}


def recipe(**fields: Any) -> Recipe:
    return make_recipe({"model": "m.onnx", **fields})


def with_data(**fields: Any) -> Recipe:
    return recipe(data={"source": "d.npz", "splits": SPLITS, **fields})


def refused(**fields: Any) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        recipe(**fields)
    return caught.value


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
        ({"path": "m.onnx", "format": "keras"}, "Input should be 'onnx'"),
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


# -- targets and constraints


def test_one_of_anything_may_stand_without_its_list() -> None:
    made = recipe(targets="local/onnxruntime", constraints="size <= 1 MB", metrics="accuracy")
    assert made == recipe(
        targets=["local/onnxruntime"], constraints=["size <= 1 MB"], metrics=["accuracy"]
    )


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ([], "at least 1 item"),
        (["local/onnxruntime", "local/onnxruntime?threads=1"], "a target appears twice"),
        (["local/onxruntime"], "unknown runtime 'onxruntime'"),
    ],
)
def test_targets_are_read_at_once(targets: list[str], said: str) -> None:
    assert said in refused(targets=targets).what


def test_a_constraint_on_a_target_names_one_that_is_there() -> None:
    on = {"on": "local/litert", "require": "size <= 1 MB"}
    assert "names none of the targets" in refused(constraints=[on]).what
    (made,) = recipe(targets=["local/litert"], constraints=[on]).parsed_constraints()
    assert made.on == "local/litert" and made.quantity == "size"
    assert recipe(targets=["local/*"], constraints=[on]), "one that * stands for"


def test_labels_are_asked_for_where_a_bound_needs_them() -> None:
    data = {"source": "d.npz", "splits": SPLITS}
    error = refused(data=data, constraints=["size <= 1 MB", "accuracy >= 90%"])
    assert error.what == "'accuracy >= 90%' needs labels and the data has none"
    assert "data.label" in error.hint
    assert with_data(label="y").model_copy(update={"constraints": ("accuracy >= 90%",)})
    assert recipe(data=data, constraints=["fidelity.agreement >= 99%"])
    assert recipe(constraints=["accuracy >= 90%"]), "no data, nothing is said of labels"


# -- the objective


@pytest.mark.parametrize(
    ("objective", "target", "expected"),
    [
        (None, "local/onnxruntime", "latency.p50"),
        (None, "emulated:cortex-a76/litert", "instructions"),
        ("size", "local/onnxruntime", "size"),
        ({"local": "size"}, "local/litert", "size"),
        ({"local": "size", "local/litert": "memory.peak"}, "local/litert", "memory.peak"),
        ({"local": "size", "default": "accuracy"}, "emulated:cortex-a76/litert", "accuracy"),
        ({"local": "size"}, "emulated:cortex-a76/litert", "instructions"),
    ],
)
def test_an_objective_is_that_of_the_longest_prefix(
    objective: Any, target: str, expected: str
) -> None:
    made = recipe(objective=objective, targets=[target])
    assert made.objective_for(parse_target(target)) == expected


def test_an_unknown_objective_is_refused_before_anything_runs() -> None:
    error = refused(objective={"local": "latency.p49"})
    assert error.where == "objective" and "unknown quantity 'latency.p49'" in error.what


# -- metrics


OWN = {"name": "iou", "function": "m.py:iou"}


def test_own_metrics_stand_beside_listed_ones_in_the_recipe_s_order() -> None:
    made = recipe(metrics=["accuracy", OWN, "top5"])
    assert made.metric_names == ("accuracy", "metric.iou", "top5")
    assert made.listed_metrics == ("accuracy", "top5")
    assert [m.name for m in made.own_metrics] == ["iou"] and made.own_metrics[0].better == "more"
    assert recipe().metric_names == ()


@pytest.mark.parametrize(
    ("fields", "place", "said"),
    [
        ({"metrics": ["acuracy"]}, "metrics", "unknown quantity 'acuracy'"),
        ({"metrics": [OWN, OWN]}, "metrics", "two metrics are called 'iou'"),
        ({"metrics": ["metric.dice"]}, "metrics", "'metric.dice' is not a metric of this recipe"),
        ({"constraints": ["metric.iou >= 0.5"]}, "constraints.0", "is not a metric of this recipe"),
        ({"objective": "metric.iou"}, "objective", "is not a metric of this recipe"),
    ],
)
def test_metrics_that_nobody_defines_are_refused(
    fields: dict[str, Any], place: str, said: str
) -> None:
    error = refused(**fields)
    assert said in error.what and error.where.startswith(place)


def test_an_own_metric_can_be_bounded_and_sought() -> None:
    bound = "metric.iou >= source - 0.1"
    made = recipe(metrics=[OWN], objective="metric.iou", constraints=[bound])
    assert made.objective_for(made.parsed_targets()[0]) == "metric.iou"


# -- places and spelling


def test_a_place_is_told_by_its_line_or_that_of_what_holds_it() -> None:
    assert recipe().line("passes", 2) == "passes.2"
    lines = {"passes": 4, "passes.1": 6}
    made = make_recipe({"model": "m.onnx"}, path=Path("r.yaml"), lines=lines)
    assert made.line("passes", 1) == "r.yaml:6"
    assert made.line("passes", 7) == "r.yaml:4"
    assert made.line("targets") == "r.yaml:1"
    assert made.error("passes.1", "no", hint="yes").where == "r.yaml:6"


def test_a_recipe_is_spelled_as_its_user_would_and_without_what_is_internal() -> None:
    made = recipe(passes=[{"one_of": ["none", {"quantize-int8": {"scheme": "s8s8"}}]}])
    form = made.spelled()
    assert form["passes"] == [{"one_of": ["none", {"quantize-int8": {"scheme": "s8s8"}}]}]
    assert {"root", "path", "lines", "held", "functions"}.isdisjoint(form)
    assert make_recipe(form).spelled() == form


def test_a_program_of_this_process_is_spelled_by_its_name_alone() -> None:
    """Guards against a path into a folder that is gone."""
    held = {"validation.x": {"blob": "0", "dtype": "float32", "shape": [1]}}
    made = make_recipe({"model": "/tmp/gone/net.pt2"}, held=held)
    assert made.spelled()["model"] == {"path": "net.pt2"}
    assert recipe(model="/kept/net.pt2").spelled()["model"]["path"] == "/kept/net.pt2"
