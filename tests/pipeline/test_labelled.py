"""Which output labels speak of is settled, or refused at the recipe's line, before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeopt.pipeline.labelled import labels_of, told_of
from edgeopt.recipe import Recipe, load_recipe
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import DataError
from edgeopt.schema.job import Arrays
from edgeopt.store import Store

RECIPE = """\
model: m.onnx
data:
  source: d.npz
  splits: {{validation: validation}}
  label: {label}
constraints: {constraints}
metrics: {metrics}
"""
CLASSES = np.arange(6) % 3
VALUES = np.linspace(0, 1, 6, dtype=np.float32)


class Bed:
    """A recipe and labels in a store, without a model."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "store")

    def recipe(self, label: Any = "y", constraints: Any = "[]", metrics: Any = "null") -> Recipe:
        path = self.folder / "recipe.yaml"
        path.write_text(RECIPE.format(label=label, constraints=constraints, metrics=metrics))
        return load_recipe(path)

    def raw(self, **labels: np.ndarray) -> dict[str, Arrays]:
        refs = {name: self.store.put_array(array) for name, array in labels.items()}
        return {"validation": Arrays(split="validation", n=6, arrays={}, labels=refs)}


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def outputs(**shapes: tuple[int | str, ...]) -> Description:
    tensors = tuple(
        Tensor(name=name, dtype="float32", shape=("batch", *shape))
        for name, shape in shapes.items()
    )
    return Description(format="onnx", signature=Signature(inputs=(), outputs=tensors))


def test_a_lone_array_belongs_where_it_fits(bed: Bed) -> None:
    found, notes = labels_of(
        bed.recipe(), bed.raw(y=CLASSES), outputs(box=(4,), scores=(3,), y=(5,)), bed.store
    )
    assert found == {"y": "y"}, "the output of its name"
    found, notes = labels_of(
        bed.recipe(), bed.raw(y=CLASSES), outputs(box=(1,), scores=(3,)), bed.store
    )
    assert found == {"scores": "y"} and not notes


def test_what_is_taken_for_granted_is_told(bed: Bed) -> None:
    found, (note,) = labels_of(
        bed.recipe(), bed.raw(y=CLASSES), outputs(scores=(3,), more=(7,)), bed.store
    )
    assert found == {"scores": "y"}
    assert note.startswith("the labels 'y' are used for output 'scores'")
    assert "would fit 'more' too" in note and "data.label: {OUTPUT: y}" in note
    _, notes = labels_of(
        bed.recipe("{scores: y}"), bed.raw(y=CLASSES), outputs(scores=(3,), more=(7,)), bed.store
    )
    assert not notes, "the recipe says it"


def test_an_array_that_fits_two_outputs_alike_is_refused(bed: Bed) -> None:
    with pytest.raises(DataError, match="fit the outputs 'one' and 'two'") as caught:
        labels_of(bed.recipe(), bed.raw(y=CLASSES), outputs(one=(3,), two=(3,)), bed.store)
    assert caught.value.where.endswith("recipe.yaml:5")


def test_a_map_that_names_no_output_is_refused_with_the_nearest(bed: Bed) -> None:
    with pytest.raises(DataError, match="no output 'score'") as caught:
        labels_of(bed.recipe("{score: y}"), bed.raw(y=CLASSES), outputs(scores=(3,)), bed.store)
    assert caught.value.hint == "Did you mean 'scores'?"
    assert caught.value.where.endswith("recipe.yaml:5")


def test_a_label_without_a_score_is_refused_unless_a_metric_of_ones_own_knows_it(bed: Bed) -> None:
    raw, source = bed.raw(y=CLASSES + 1), outputs(scores=(3,))
    with pytest.raises(DataError, match="3") as caught:
        labels_of(bed.recipe(), raw, source, bed.store)
    assert caught.value.where.endswith("recipe.yaml:5")
    own = "[{name: mine, function: 'f.py:f'}]"
    assert labels_of(bed.recipe(metrics=own), raw, source, bed.store) == ({}, ())
    with pytest.raises(DataError):
        labels_of(
            bed.recipe(metrics=own, constraints="['accuracy >= 0.5']"), raw, source, bed.store
        )


@pytest.mark.parametrize(
    ("asked", "labels", "said"),
    [
        ("accuracy >= 0.5", VALUES, "it needs one whole number per sample"),
        ("mse <= 1", CLASSES, "it needs float values in the shape of an output"),
        ("accuracy@box >= 0.5", CLASSES, "'accuracy@box': the model has no output 'box'"),
    ],
)
def test_what_labels_do_not_allow_is_refused_at_its_line(
    bed: Bed, asked: str, labels: np.ndarray, said: str
) -> None:
    recipe = bed.recipe(constraints=f"['{asked}']")
    with pytest.raises(DataError) as caught:
        labels_of(recipe, bed.raw(y=labels), outputs(scores=(3,)), bed.store)
    assert said in caught.value.what and caught.value.where.endswith("recipe.yaml:6")


def test_labels_that_nothing_reads_are_told(bed: Bed) -> None:
    texts = np.array([[1, 2, 3, 4, 5]] * 6)
    found, (note,) = labels_of(bed.recipe(), bed.raw(y=texts), outputs(scores=(3,)), bed.store)
    assert found == {}
    assert note.startswith("no metric of edgeopt reads the labels 'y' int64[6, 5]")
    listed = bed.recipe(metrics="[fidelity.cosine]")
    assert labels_of(listed, bed.raw(y=texts), outputs(scores=(3,)), bed.store) == ({}, ())


def test_an_output_that_no_bound_holds_is_told(bed: Bed) -> None:
    source = outputs(scores=(3,), box=(4,))
    bound = bed.recipe("{scores: y}", "['accuracy >= 0.5']")
    _, (note,) = labels_of(bound, bed.raw(y=CLASSES), source, bed.store)
    assert note.startswith("no bound covers the output 'box', which no label covers")
    for more in ("fidelity.cosine >= 0.9", "fidelity.sqnr@box >= 9 dB"):
        held = bed.recipe("{scores: y}", f"['accuracy >= 0.5', '{more}']")
        assert labels_of(held, bed.raw(y=CLASSES), source, bed.store)[1] == ()


def test_labels_are_known_over_all_splits(bed: Bed) -> None:
    raw = bed.raw(y=CLASSES)
    more = bed.store.put_array(np.array([7, 0]))
    raw["test"] = Arrays(split="test", n=2, arrays={}, labels={"y": more})
    assert told_of("y", raw, bed.store).classes == 8
