"""What a recipe leaves open for measuring, and the recipes that are made of it on the way."""

from __future__ import annotations

import pytest

from edgeopt.pipeline.left_open import places, sooner, with_fractions, without_stages
from edgeopt.recipe import Recipe, make_recipe

SPEED = {"prune-structured": {"speedup": "4x", "round_to": 4}}
SMALLEST = {"prune-structured": {"macs": "smallest"}}


def recipe(*passes: object) -> Recipe:
    return make_recipe(
        {
            "model": {"factory": "n.py:net", "weights": "w.safetensors"},
            "data": {"source": "d.npz", "label": "y", "splits": {"validation": "validation"}},
            "constraints": ["accuracy >= source - 1pt"],
            "passes": list(passes),
        }
    )


def labels(made: Recipe) -> list[list[str]]:
    return [[choice.label for choice in step.choices] for step in made.passes]


def test_places_are_those_of_passes_without_a_number() -> None:
    several = {"one_of": ["none", {"prune-structured": {"macs": 0.5}}, SPEED]}
    (place,) = places(recipe("export-onnx", several))
    assert (place.step, place.choice, place.open.speedup) == (1, 2, 4.0)
    assert place.fields == {"speedup": "4x", "round_to": 4}
    (other,) = places(recipe(SMALLEST))
    assert other.open.speedup is None and other.open.closes == "macs"
    assert not list(places(recipe("export-onnx", {"prune-structured": {"macs": 0.5}})))


def test_fractions_stand_in_the_place_and_all_else_stays() -> None:
    given = recipe({"one_of": ["none", SPEED]}, "export-onnx")
    (place,) = places(given)
    made = with_fractions(given, place, [0.25, 0.123456])
    none, *closed = made.passes[0].choices
    assert none.name == "none" and labels(made)[1] == ["export-onnx"]
    assert [choice.fields for choice in closed] == [
        {"round_to": 4, "macs": 0.25},
        {"round_to": 4, "macs": 0.1235},
    ]
    assert not list(places(made))
    alone = with_fractions(given, place, [0.5], only=True)
    assert [choice.fields for choice in alone.passes[0].choices] == [{"round_to": 4, "macs": 0.5}]
    assert given.passes[0].choices[1].fields == place.fields, "it is a copy"


def test_stages_are_left_out_but_for_one() -> None:
    train = {"distill": {"epochs": 12}}
    given = recipe(SPEED, train, "export-onnx", {"one_of": ["none", "fp16"]})
    assert labels(without_stages(given)) == [["export-onnx"], ["none", "fp16"]]
    kept = labels(without_stages(given, keep=0))
    assert kept == [[labels(given)[0][0]], ["export-onnx"], ["none", "fp16"]]


@pytest.mark.parametrize(("epochs", "first"), [(12, 3), (5, 1), (1, 1)])
def test_a_first_look_trains_a_quarter_of_the_epochs(epochs: int, first: int) -> None:
    given = recipe(SMALLEST, {"distill": {"epochs": epochs}}, "export-onnx")
    made = sooner(given)
    assert made.passes[1].choices[0].fields["epochs"] == first
    assert made.passes[0].choices[0].fields == {"macs": "smallest"}
    assert labels(made)[2] == ["export-onnx"]


def test_a_first_look_knows_how_long_a_pass_trains_that_does_not_say() -> None:
    made = sooner(recipe(SMALLEST, "distill"))
    from edgeopt.step import passes_named

    default = passes_named("distill")["torch"].model_fields["epochs"].default
    assert made.passes[1].choices[0].fields["epochs"] == max(1, default // 4) < default
