"""How a candidate is fed and read, told to whoever ships it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeopt.decide.entry import Entry
from edgeopt.pipeline.feeding import inputs_of, outputs_of
from edgeopt.pipeline.measure import Bench
from edgeopt.recipe import make_recipe
from edgeopt.schema.job import ArrayRef


def test_inputs_are_told_with_the_array_and_the_steps_that_make_them(
    bench: Bench, entries: list[Entry]
) -> None:
    (told,) = inputs_of(bench, entries[1])
    assert (told.tensor.name, told.array, told.raw_dtype, told.raw_shape) == (
        "x", "samples", "float32", (6,),
    )  # fmt: skip
    assert told.made == "as it is" and told.decoded == ""
    steps = [{"scale": 2}, {"normalize": {"mean": 0.5, "std": 0.25}}]
    data = {**bench.recipe.spelled()["data"], "preprocess": steps}
    fields: dict[str, Any] = {**bench.recipe.spelled(), "data": data}
    bench.recipe = make_recipe(fields, root=bench.recipe.root)
    (told,) = inputs_of(bench, entries[1])
    assert told.made == "x / 2, then (x - 0.5) / 0.25, in float32"


def test_outputs_are_told_with_labels_and_names_of_the_sources_own(
    bench: Bench, entries: list[Entry]
) -> None:
    (told,) = outputs_of(bench, entries[1])
    assert (told.of, told.label, told.kind) == ("scores", "label", "classes")
    assert told.classes == ("red", "green", "blue")
    assert told.probabilities is None, "nothing was scored yet"
    bench.score(entries[1:2], "validation")
    (told,) = outputs_of(bench, entries[1])
    assert told.probabilities is False


def test_outputs_of_other_names_are_the_sources_by_position(
    bench: Bench, entries: list[Entry]
) -> None:
    signature = entries[1].described.signature
    renamed = signature.outputs[0].model_copy(update={"name": "Identity:0"})
    made = entries[1].described.model_copy(
        update={"signature": signature.model_copy(update={"outputs": (renamed,)})}
    )
    (told,) = outputs_of(bench, replace(entries[1], description=made))
    assert (told.tensor.name, told.of, told.label) == ("Identity:0", "scores", "label")


@pytest.mark.parametrize(
    ("scores", "probable"),
    [
        (np.full((40, 4), 0.25, np.float32), True),
        (np.full((40, 4), 0.5, np.float32), False),
        (np.array([[1.5, -0.5]] * 40, np.float32), False),
        (np.ones((40, 1), np.float32), None),
    ],
    ids=["sums of 1", "sums of 2", "a negative one", "one score"],
)
def test_scores_that_sum_to_one_are_probabilities(
    bench: Bench, entries: list[Entry], scores: np.ndarray, probable: bool | None
) -> None:
    bench.score(entries[1:2], "validation")
    job = bench.jobs.source_score("validation").id
    kept = bench.outcomes[job]
    ref: ArrayRef = bench.store.put_array(scores)
    value = {**kept.value, "outputs": {"scores": ref.to_json()}}
    bench.outcomes[job] = kept.model_copy(update={"value": value})
    (told,) = outputs_of(bench, entries[1])
    assert told.probabilities is probable
