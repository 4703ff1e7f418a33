"""How the answers of two models differ, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.evaluation.changed import answers
from edgeopt.schema.errors import ModelError

CLASSES = np.array([0, 1, 2, 0, 1, 2])
A = {"scores": np.eye(3)[CLASSES] + 0.1}


def other(*changed: int) -> dict[str, np.ndarray]:
    """A's scores, with another top class for some samples."""
    scores = A["scores"].copy()
    scores[list(changed)] = np.roll(scores[list(changed)], 1, axis=1)
    return {"scores": scores}


def test_equal_answers_change_nothing() -> None:
    found = answers(A, other(), {})
    assert (found.n, found.changed, found.gained, found.lost, found.p) == (6, 0, None, None, None)


def test_samples_of_another_top_class_are_counted() -> None:
    assert answers(A, other(1, 4), {}).changed == 2


def test_with_labels_it_is_told_who_alone_is_right() -> None:
    labels = CLASSES.copy()
    labels[:3] = (CLASSES[:3] + 1) % 3  # what B says of the first three
    found = answers(A, other(0, 1, 2, 5), {"scores": labels})
    assert (found.changed, found.gained, found.lost) == (4, 3, 1)
    assert found.p is not None and 0.3 < found.p < 1
    turned = answers(other(0, 1, 2, 5), A, {"scores": labels})
    assert (turned.gained, turned.lost, turned.p) == (1, 3, found.p)


def test_values_to_predict_have_no_test() -> None:
    values = {"price": np.arange(6.0).reshape(6, 1)}
    moved = {"price": values["price"] + np.array([0, 0, 0, 5, 0, 0]).reshape(6, 1)}
    found = answers(values, moved, {"price": values["price"]})
    assert found.p is None and found.worst == 3


def test_the_worst_sample_is_measured_against_each_output_s_own_size() -> None:
    a = {"large": 1000 + np.zeros((4, 2)), "small": np.ones((4, 2))}
    b = {"large": a["large"].copy(), "small": a["small"].copy()}
    b["large"][1] += 10  # a hundredth
    b["small"][2] += 0.5  # half
    assert answers(a, b, {}).worst == 2


def test_masked_scores_are_no_difference() -> None:
    masked = {"scores": np.where(np.eye(3)[CLASSES] > 0, A["scores"], -np.inf)}
    assert answers(masked, masked, {}).worst == 0
    with pytest.raises(ModelError, match="infinite at sample 0"):
        answers(A, masked, {})


def test_outputs_that_do_not_match_are_refused() -> None:
    with pytest.raises(ModelError, match="2 outputs against 1"):
        answers(A, {**A, "more": A["scores"]}, {})
