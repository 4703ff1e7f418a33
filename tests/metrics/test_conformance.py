"""Every metric that ships does what a metric must."""

from __future__ import annotations

import numpy as np

from edgeopt.schema.quantities import quantities
from edgeopt.testing.metrics import Answers, MetricConformance


def classified() -> Answers:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 400)
    clean = np.eye(5)[labels] + 0.4 * rng.normal(size=(400, 5))
    return Answers(clean, clean + 0.6 * rng.normal(size=(400, 5)), labels)


def predicted() -> Answers:
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(400, 3))
    noise = rng.normal(size=labels.shape)
    return Answers(labels + 0.1 * noise, labels + 0.3 * noise, labels)


def amounts() -> Answers:
    """The same around levels of their own: which is highest is no question."""
    given, levels = predicted(), 5.0 * np.arange(3)
    return Answers(*(each + levels for each in (given.better, given.worse, given.labels)))


class TestAccuracy(MetricConformance):
    quantity = "accuracy"

    def answers(self) -> Answers:
        return classified()


class TestTopTwo(MetricConformance):
    quantity = "top2"

    def answers(self) -> Answers:
        return classified()


class TestMacroF1(MetricConformance):
    quantity = "macro_f1"

    def answers(self) -> Answers:
        return classified()


class TestWorstClass(MetricConformance):
    quantity = "worst_class"

    def answers(self) -> Answers:
        return classified()


class TestMeanSquaredError(MetricConformance):
    quantity = "mse"

    def answers(self) -> Answers:
        return predicted()


class TestMeanAbsoluteError(MetricConformance):
    quantity = "mae"

    def answers(self) -> Answers:
        return predicted()


class TestCosine(MetricConformance):
    quantity = "fidelity.cosine"

    def answers(self) -> Answers:
        return amounts()


class TestSqnr(MetricConformance):
    quantity = "fidelity.sqnr"

    def answers(self) -> Answers:
        return amounts()


class TestAgreement(MetricConformance):
    quantity = "fidelity.agreement"

    def answers(self) -> Answers:
        return predicted()


def test_every_metric_is_tried() -> None:
    tried = {kind.quantity for kind in MetricConformance.__subclasses__()}
    measured = {name for name, each in quantities().items() if each.of_outputs}
    assert measured <= tried
