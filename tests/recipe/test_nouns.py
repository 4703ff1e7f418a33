"""What a recipe's nouns refuse, and what they make of what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_recipe import SPLITS, recipe, refused, with_data

from edgeopt.recipe import make_recipe
from edgeopt.schema.target import parse_target

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
