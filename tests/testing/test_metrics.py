"""The kit of metrics refuses answers that show nothing, or the wrong way round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgeopt.testing.metrics import ENOUGH, Answers, MetricConformance

LABELS = np.arange(ENOUGH) % 3
RIGHT = np.eye(3, dtype=np.float32)[LABELS] + np.float32(0.1)
WORSE = np.where((np.arange(ENOUGH) % 4 == 0)[:, None], RIGHT[:, [1, 2, 0]], RIGHT)


def kit(quantity: str, answers: Answers) -> MetricConformance:
    made = MetricConformance()
    made.quantity = quantity
    made.answers = lambda: answers  # type: ignore[method-assign]
    return made


SOUND = Answers(RIGHT, WORSE, LABELS)


@pytest.mark.parametrize(
    ("answers", "check", "said"),
    [
        (Answers(WORSE, RIGHT, LABELS),
         MetricConformance.test_the_better_answers_have_the_better_figure, ""),
        (Answers(WORSE, WORSE, LABELS),
         MetricConformance.test_the_better_answers_have_the_better_figure, ""),
        (Answers(RIGHT[:9], WORSE[:9], LABELS[:9]),
         MetricConformance.test_intervals_hold_the_figure_of_all_samples, "give at least 200"),
    ],
    ids=["swapped", "equal", "few"],
)  # fmt: skip
def test_answers_that_prove_nothing_are_refused(
    answers: Answers, check: Callable[[MetricConformance], None], said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        check(kit("accuracy", answers))
    check(kit("accuracy", SOUND))


def test_a_quantity_that_is_not_of_answers_is_no_metric() -> None:
    with pytest.raises(AssertionError, match="is not measured of answers"):
        kit("size", SOUND).test_it_is_declared_whole()
    kit("accuracy", SOUND).test_it_is_declared_whole()
