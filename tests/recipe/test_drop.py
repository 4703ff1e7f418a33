"""A bound in one word: what the first metric may lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeopt.recipe import Recipe, make_recipe
from edgeopt.recipe.drop import with_max_drop
from edgeopt.schema.errors import UsageError


def recipe(folder: Path, labels: Any = np.int64, **fields: Any) -> Recipe:
    arrays = {"validation.x": np.zeros((4, 2), np.float32), "validation.y": np.zeros(4, labels)}
    np.savez(folder / "d.npz", **arrays)
    data = {"source": "d.npz", "label": "y", "splits": {"validation": "validation"}}
    given = {"model": "m.onnx", "data": data, "passes": ["fp16"], **fields}
    return make_recipe(given, root=folder)


def test_of_classes_accuracy_may_fall(tmp_path: Path) -> None:
    assert with_max_drop(recipe(tmp_path), "1pt").constraints == ("accuracy >= source - 1pt",)


def test_of_values_the_error_may_rise(tmp_path: Path) -> None:
    found = with_max_drop(recipe(tmp_path, np.float32), "0.1").constraints
    assert found == ("mse <= source + 0.1",)


def test_the_first_listed_metric_is_meant_and_its_other_bounds_go(tmp_path: Path) -> None:
    asked = recipe(
        tmp_path,
        metrics=["macro_f1", "accuracy"],
        constraints=["macro_f1 >= 50%", "size <= 1 MB", "accuracy >= 60%"],
    )
    found = with_max_drop(asked, "2pt").constraints
    assert found == ("size <= 1 MB", "accuracy >= 60%", "macro_f1 >= source - 2pt")


def test_nearness_to_the_source_is_no_metric_of_the_source(tmp_path: Path) -> None:
    asked = recipe(tmp_path, metrics=["fidelity.agreement"])
    assert with_max_drop(asked, "1pt").constraints == ("accuracy >= source - 1pt",)


@pytest.mark.parametrize(
    ("better", "bound"), [("more", ">= source - 2"), ("less", "<= source + 2")]
)
def test_a_metric_of_the_users_own_says_which_way_is_better(
    tmp_path: Path, better: str, bound: str
) -> None:
    own = {"name": "distance", "function": "m.py:distance", "better": better}
    found = with_max_drop(recipe(tmp_path, metrics=[own]), "2").constraints
    assert found == (f"metric.distance {bound}",)


@pytest.mark.parametrize(
    ("labels", "drop", "said"),
    [
        (np.int64, "1 dB", "unit 'dB' does not fit"),
        (np.int64, "0.5", "has no unit"),
        (np.int64, "much", "cannot read the bound"),
        (np.float32, "1pt", "unit 'pt' does not fit"),
    ],
)
def test_a_unit_that_does_not_fit_is_named_with_the_option(
    tmp_path: Path, labels: Any, drop: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        with_max_drop(recipe(tmp_path, labels), drop)
    assert caught.value.where == "--max-drop" and caught.value.exit_code == 2


def test_without_labels_nothing_is_lost_that_is_measured(tmp_path: Path) -> None:
    data = {"source": "d.npz", "splits": {"validation": "validation"}}
    with pytest.raises(UsageError, match="no labels") as caught:
        with_max_drop(recipe(tmp_path, data=data), "1pt")
    assert "--label" in caught.value.hint
