"""From outputs to figures: what is measured, against what, and what is told of a guess."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeopt.pipeline.figures import Figures
from edgeopt.pipeline.work import Work
from edgeopt.recipe import Recipe, make_recipe
from edgeopt.schema.errors import DataError, ModelError
from edgeopt.schema.job import Arrays
from edgeopt.schema.target import parse_target

TARGET = parse_target("local/onnxruntime")
SPLIT = "validation"


def figures(work: Work, **changed: Any) -> Figures:
    """Of the recipe, with other fields."""
    fields = {**work.recipe.spelled(), **changed}
    functions = fields.pop("functions", {})
    recipe: Recipe = make_recipe(fields, root=work.recipe.root, functions=functions)
    return Figures(recipe, work.known, work.store, TARGET)


@pytest.fixture
def right(work: Work) -> dict[str, np.ndarray]:
    """Scores that name every label."""
    labels = figures(work).labels(SPLIT)["scores"]
    return {"scores": 2 * np.eye(3, dtype=np.float32)[labels]}


def test_what_is_listed_bounded_or_sought_is_measured_once(
    work: Work, right: dict[str, np.ndarray]
) -> None:
    own = figures(work, metrics=["macro_f1"], constraints=["accuracy >= 0.5", "size <= 1 MB"],
                  objective="macro_f1")  # fmt: skip
    labels = own.labels(SPLIT)
    assert own.metrics(right, labels) == ["macro_f1", "accuracy"]
    assert set(own.of_source(right, SPLIT)) == {"macro_f1", "accuracy"}
    assert "accuracy" in figures(work, constraints=["size <= 1 MB"]).metrics(right, labels)


def test_a_candidate_is_measured_alone_and_against_the_source(
    work: Work, right: dict[str, np.ndarray]
) -> None:
    worse = {"scores": right["scores"].copy()}
    worse["scores"][:10] = worse["scores"][:10, [1, 2, 0]]
    found = figures(work).of_candidate(worse, right, SPLIT)
    assert found["accuracy"].value == 0.75
    assert found["difference.accuracy"].value == pytest.approx(-0.25)
    first = figures(work).of_candidate({"scores": worse["scores"][:20]}, right, SPLIT, n=20)
    assert (first["accuracy"].value, first["accuracy"].n) == (0.5, 20)


def test_an_output_that_stands_still_is_no_model(work: Work) -> None:
    scores = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    with pytest.raises(ModelError, match="output 'scores': it stands still"):
        figures(work).of_candidate({"scores": 0 * scores}, {"scores": scores}, SPLIT)


def hits(outputs: Any, labels: Any) -> Any:
    """One value a sample: a user's own metric."""
    return (outputs["scores"].argmax(axis=1) == labels).astype(float)


def test_a_metric_of_this_process_is_the_users_function(
    work: Work, right: dict[str, np.ndarray]
) -> None:
    listed = [{"name": "hits", "function": "script:hits"}]
    own = figures(work, metrics=listed, functions={"hits": hits})
    assert own.of_source(right, SPLIT)["metric.hits"].value == 1.0
    against = own.of_candidate(right, right, SPLIT)
    assert against["difference.metric.hits"].value == 0.0
    assert "difference.metric.hits" not in own.of_source(right, SPLIT)

    def broken(outputs: Any, labels: Any) -> Any:
        raise ZeroDivisionError("no samples")

    with pytest.raises(DataError, match="ZeroDivisionError: no samples") as caught:
        figures(work, metrics=listed, functions={"hits": broken}).of_source(right, SPLIT)
    assert "metric.hits" in str(caught.value)


def test_a_source_that_guesses_is_told_why_as_far_as_data_show(
    work: Work, right: dict[str, np.ndarray]
) -> None:
    own, labels = figures(work), figures(work).labels(SPLIT)
    ahead = own.lead(right, labels)
    assert ahead is not None and not ahead.lost
    fed = Arrays.model_validate(work.outcomes[work.known.raw_jobs[SPLIT]].value)
    turned = {"scores": right["scores"][:, [2, 0, 1]]}
    lost = own.lead(turned, labels)
    assert lost is not None and lost.lost
    renamed = own.why_lost(lost, turned, labels, fed)
    assert renamed.startswith(f"the source's {lost}; ") and "it was fed" not in renamed
    rng = np.random.default_rng(0)
    noise = {"scores": rng.normal(size=right["scores"].shape).astype(np.float32)}
    guessing = own.lead(noise, labels)
    assert guessing is not None
    values = work.store.get_array(fed.arrays["samples"])
    told = own.why_lost(guessing, noise, labels, fed)
    assert f"it was fed 'samples' from {values.min():.4g} to {values.max():.4g}" in told


def test_there_is_no_lead_where_nothing_is_classified(
    work: Work, right: dict[str, np.ndarray]
) -> None:
    own = figures(work, metrics=["fidelity.cosine"], constraints=["size <= 1 MB"])
    assert own.lead(right, own.labels(SPLIT)) is None


def test_slices_are_of_what_is_bounded_and_carry_the_classes_names(
    work: Work, right: dict[str, np.ndarray]
) -> None:
    found = list(figures(work, constraints=["macro_f1 >= 0.5"]).sliced(right, right, SPLIT))
    assert {each.figure.quantity for each in found} == {"macro_f1"}
    found = list(figures(work).sliced(right, right, SPLIT))
    assert {each.figure.quantity for each in found} == {"accuracy"}
    named = {each.value: each.name for each in found if each.column == "class"}
    assert named == {"0": "red", "1": "green", "2": "blue"}
    assert {each.name for each in found if each.column == "colour"} == {""}
