"""Guessing is told from answering, and what is behind it by the answers themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.evaluation.chance import lead, other_names

CLASSES, N = 10, 400


def answers(shown: np.ndarray, right: float = 0.9, seed: int = 0) -> tuple[str, np.ndarray]:
    """Scores whose largest is ``shown``, but for a share of samples."""
    rng = np.random.default_rng(seed)
    guess = np.where(rng.random(len(shown)) < right, shown, rng.integers(0, CLASSES, len(shown)))
    return "scores", np.eye(CLASSES, dtype=np.float32)[guess]


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(N) % CLASSES


def test_a_good_model_is_ahead_and_needs_no_other_names(labels: np.ndarray) -> None:
    found = lead(*answers(labels), labels)
    assert not found.lost and found.share == 1 / CLASSES
    assert other_names(*answers(labels), labels) == ""


def test_random_answers_are_lost_and_no_names_help(labels: np.ndarray) -> None:
    guessed = answers(labels, right=0.0)
    assert lead(*guessed, labels).lost
    assert "no better than always naming the most frequent class (10.00%)" in str(
        lead(*guessed, labels)
    )
    assert other_names(*guessed, labels) == ""


@given(step=st.integers(1, CLASSES - 1))
def test_labels_that_are_off_by_a_step_are_named(step: int) -> None:
    labels = np.arange(N) % CLASSES
    shifted = answers((labels - step) % CLASSES)
    assert lead(*shifted, labels).lost
    by = step if step <= CLASSES // 2 else step - CLASSES
    assert f"the labels are {by:+d} off the model's classes" in other_names(*shifted, labels)


@given(order=st.permutations(range(CLASSES)))
def test_another_order_is_found_whatever_it_is(order: list[int]) -> None:
    labels = np.arange(N) % CLASSES
    told = other_names(*answers(np.array(order)[labels], right=0.97), labels)
    assert bool(told) == (order != sorted(order))
    assert not told or "accuracy would be 9" in told


def test_few_samples_prove_nothing(labels: np.ndarray) -> None:
    few = labels[:12]
    assert not lead(*answers(few, right=1.0), few).lost
    assert other_names(*answers((few + 1) % CLASSES, right=1.0), few) == ""


def test_a_candidate_is_lost_beside_its_source_only_where_most_is_gone(labels: np.ndarray) -> None:
    source = lead(*answers(labels), labels)
    for right, gone in ((0.85, False), (0.5, False), (0.05, True)):
        found = lead(*answers(labels, right=right), labels)
        assert found.lost_beside(source) == gone
    told = f"accuracy {found.accuracy:.2%} on {N} samples; the source has {source.accuracy:.2%}"
    assert found.against(source).startswith(told) and found.against(source).endswith("10.00%")


def test_one_class_alone_is_always_named_right() -> None:
    labels = np.zeros(50, np.int64)
    assert lead(*answers(labels, right=1.0), labels).lost
