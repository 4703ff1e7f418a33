"""Figures by class and slice: of exactly their samples, and text survives the store."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.data.load import _as_text
from edgeopt.evaluation.slices import as_text, sliced


def test_each_group_has_the_figure_of_its_own_samples() -> None:
    rng = np.random.default_rng(0)
    labels, users = rng.integers(0, 3, 300), rng.choice(["ann", "bö"], 300)
    scores = np.eye(3)[labels]
    bad = scores.copy()
    wrong = (users == "bö") & (labels == 2)
    bad[wrong] = np.roll(bad[wrong], 1, axis=1)
    found = {
        (f.column, f.value): f
        for f in sliced("accuracy", {"o": bad}, {"o": scores}, {"o": labels}, {"user": users})
    }
    assert set(found) == {("class", str(c)) for c in range(3)} | {("user", "ann"), ("user", "bö")}
    assert found["class", "0"].figure.value == found["user", "ann"].figure.value == 1.0
    share = wrong.sum() / (labels == 2).sum()
    two = found["class", "2"]
    assert two.figure.value == pytest.approx(1 - share)
    assert two.difference and two.difference.value == pytest.approx(-share)
    assert sum(f.n for (column, _), f in found.items() if column == "user") == 300


def test_without_labels_the_figure_is_nearness() -> None:
    scores = np.random.default_rng(0).normal(size=(40, 4))
    groups = {"site": np.repeat(["a", "b"], 20)}
    found = list(sliced("fidelity.agreement", {"o": scores}, {"o": scores}, {}, groups))
    assert [f.value for f in found] == ["a", "b"]
    assert all(f.figure.value == 1.0 and f.difference is None for f in found)


def test_text_survives_the_store() -> None:
    words = np.array(["", "ä", "longer", "日本"])
    assert as_text(_as_text(words)).tolist() == words.tolist()
    assert as_text(_as_text(np.array([3, -12]))).tolist() == ["3", "-12"]
