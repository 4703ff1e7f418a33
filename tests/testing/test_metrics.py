"""The kit of metrics refuses answers that show nothing, or the wrong way round."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugging import write_metadata

from edgeopt.schema.errors import PluginError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import GROUP, quantities
from edgeopt.testing.metrics import ENOUGH, Answers, MetricConformance, _check

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
         MetricConformance.test_the_better_answers_have_the_better_figure, "the worse 1.0; less"),
        (Answers(WORSE, WORSE, LABELS),
         MetricConformance.test_the_better_answers_have_the_better_figure, "the better answers"),
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


class Unset(MetricConformance):
    """A subclass without what it must define."""


class Half(MetricConformance):
    quantity = "accuracy"


CHECKS = [
    getattr(MetricConformance, name) for name in vars(MetricConformance) if name[:5] == "test_"
]


@pytest.mark.parametrize("check", CHECKS)
def test_what_a_subclass_must_define_is_told(check: Callable[[MetricConformance], None]) -> None:
    with pytest.raises(AssertionError, match=r"Unset must (set quantity|define answers)"):
        check(Unset())
    bare = kit("accuracy", (RIGHT, WORSE, LABELS))  # type: ignore[arg-type]
    lists = kit("accuracy", SOUND._replace(labels=LABELS.tolist()))
    short = kit("accuracy", SOUND._replace(labels=LABELS[1:]))
    if "declared" in check.__name__ or "constraint" in check.__name__:
        return check(Half())
    for wrong, said in (
        (Half(), r"Half must define answers\(self\): give edgeopt.testing.metrics.Answers\("),
        (bare, r"answers\(\) of MetricConformance gives a tuple: give edgeopt.testing"),
        (lists, "labels of MetricConformance's Answers is a list, no array"),
        (short, "MetricConformance's Answers differ in length"),
    ):
        with pytest.raises(AssertionError, match=said):
            check(wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"unit": "ms"}, "in 'ms', not 'accuracy' in 'fraction'"),
        ({"value": float("nan")}, "accuracy is 0.4, nan, 0.6"),
        ({"high": float("inf")}, "accuracy is 0.4, 0.5, inf"),
        ({"low": 0.55}, ""),
        ({"quantity": "mse"}, "it gives 'mse' in"),
    ],
)
def test_a_figure_that_cannot_be_compared_is_refused(wrong: dict[str, Any], said: str) -> None:
    fields = {"quantity": "accuracy", "value": 0.5, "unit": "fraction", "low": 0.4, "high": 0.6}
    _check(Measurement(**fields), "accuracy", "fraction")
    with pytest.raises(AssertionError, match=said or None):
        _check(Measurement(**{**fields, **wrong}), "accuracy", "fraction")


def test_a_metric_that_fails_on_a_class_alone_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a run that ends where it makes the figures of each class."""
    code = """
from edgeopt.answers.averaged import Averaged
from edgeopt.schema.quantities import Quantity
ALONE = Quantity('alone', '', 'answers', title='A', labels='classes', module='alone_metric')
_mean = Averaged(lambda quantity, name, output, labels: output[:, 0] / DIVISOR)
measure, difference, ratio = _mean.measure, _mean.difference, _mean.ratio
"""
    check = MetricConformance.test_what_it_cannot_judge_is_a_typed_error
    try:
        monkeypatch.syspath_prepend(str(tmp_path))
        write_metadata(tmp_path, "alone", {GROUP: {"alone": "alone_metric:ALONE"}})
        for divisor, fails in (("max(1 // (len(set(labels)) - 1), 1)", True), ("1", False)):
            (tmp_path / "alone_metric.py").write_text(code.replace("DIVISOR", divisor))
            sys.modules.pop("alone_metric", None)
            invalidate_caches()
            quantities.cache_clear()
            with pytest.raises(PluginError, match="ZeroDivision") if fails else nullcontext():
                check(kit("alone", SOUND))
    finally:
        monkeypatch.undo()
        quantities.cache_clear()


def test_a_quantity_that_is_not_of_answers_is_no_metric() -> None:
    with pytest.raises(AssertionError, match="is not measured of answers"):
        kit("size", SOUND).test_it_is_declared_whole()
    kit("accuracy", SOUND).test_it_is_declared_whole()
