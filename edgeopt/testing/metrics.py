"""What every metric must do, on answers of its author's choosing; a test subclasses it::

class TestMyMetric(MetricConformance):
    quantity = "rmsle"

    def answers(self) -> Answers:
        return Answers(better=..., worse=..., labels=...)
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pytest

from edgeopt.evaluation import compute, difference, ratio
from edgeopt.evaluation.measuring import module_of
from edgeopt.schema.base import canonical
from edgeopt.schema.constraint import SCALES, parse_constraint
from edgeopt.schema.errors import DataError, EdgeoptError, ModelError, UsageError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import Quantity, declared

Array = np.ndarray[Any, Any]
DRAWS, PART, COVERED = 60, 0.2, 0.8
ENOUGH = 200  # samples that intervals are tried on
ANSWERS = "give edgeopt.testing.metrics.Answers(better=ARRAY, worse=ARRAY, labels=ARRAY)"


class Answers(NamedTuple):
    """Two models' answers to the same samples, (n, ...), the first the better one, of at least
    ``ENOUGH`` samples; and the labels, or for nearness the source's answers."""

    better: Array
    worse: Array
    labels: Array


class MetricConformance:
    """Checks of a quantity that is declared and measured by a module."""

    quantity: str = ""

    def answers(self) -> Answers:
        """Answers to try the metric on."""
        raise AssertionError(f"{type(self).__name__} must define answers(self): {ANSWERS}")

    def test_it_is_declared_whole(self) -> None:
        """Unit, title, labels, rank and the module that measures it are known."""
        known = self._declared()
        assert known.of_outputs, f"family '{known.family}' is not measured of answers"
        assert known.unit in SCALES, f"no constraint can spell the unit '{known.unit}'"
        assert known.title, "'title' is empty: tables and reports call it that"
        assert known.labels in ("", "classes", "values")
        assert bool(known.labels) == (known.family == "answers")
        assert type(known.rank) is int and known.rank >= 0, f"rank {known.rank!r}"
        assert callable(module_of(known.name).measure)

    def test_a_constraint_can_bound_it_on_one_side_alone(self) -> None:
        """The grammar takes the direction that is declared and refuses the other."""
        known = self._declared()
        good, bad = ("<=", ">=") if known.less_is_better else (">=", "<=")
        unit = next(iter(SCALES[known.unit]))
        assert parse_constraint(f"{self.quantity} {good} 0.5 {unit}").quantity == self.quantity
        with pytest.raises(UsageError):
            parse_constraint(f"{self.quantity} {bad} 0.5 {unit}")

    def test_the_better_answers_have_the_better_figure(self) -> None:
        given = self._answers()
        better, worse = (self._figure(each).value for each in (given.better, given.worse))
        less = self._declared().less_is_better
        said = f"the better answers have {better}, the worse {worse}; less_is_better is {less}"
        assert (better < worse) == less and better != worse, said

    def test_a_figure_lies_in_its_interval_and_can_be_kept(self) -> None:
        given = self._answers()
        for output in (given.better, given.worse):
            figure = self._figure(output)
            _check(figure, self.quantity, self._declared().unit)
            assert figure.n == len(output)

    def test_equal_answers_give_equal_figures_in_any_order(self) -> None:
        given = self._answers()
        order = np.random.default_rng(0).permutation(len(given.worse))
        again = self._figure(given.worse[order], given.labels[order])
        assert self._figure(given.worse) == self._figure(given.worse.copy())
        assert again.value == pytest.approx(self._figure(given.worse).value, rel=1e-9)

    def test_two_models_are_compared_on_the_same_samples(self) -> None:
        """Difference and ratio are those of the figures, and narrower than two apart."""
        given = self._answers()
        if not self._declared().labels:
            pytest.skip("nearness is against the source as it is")
        a, b = (self._figure(each).value for each in (given.worse, given.better))
        sides = ({"o": given.worse}, {"o": given.better}, {"o": given.labels})
        apart = difference(self.quantity, *sides)
        assert apart.value == pytest.approx(a - b, rel=1e-9, abs=1e-12)
        _check(apart, f"difference.{self.quantity}", self._declared().unit)
        same = difference(self.quantity, sides[0], sides[0], sides[2])
        assert same.value == 0 and same.interval[0] <= 0 <= same.interval[1]
        if b:
            over = ratio(self.quantity, *sides)
            assert over.value == pytest.approx(a / b, rel=1e-9)
            _check(over, f"ratio.{self.quantity}", "x")

    def test_intervals_hold_the_figure_of_all_samples(self) -> None:
        """Of small draws of the samples, at least four in five hold it (95% is promised)."""
        given, rng = self._answers(), np.random.default_rng(0)
        n = len(given.worse)
        assert n >= ENOUGH, f"give at least {ENOUGH} samples"
        whole, held = self._figure(given.worse).value, 0
        for _ in range(DRAWS):
            rows = rng.choice(n, int(PART * n), replace=False)
            low, high = self._figure(given.worse[rows], given.labels[rows]).interval
            held += low <= whole <= high
        assert held >= COVERED * DRAWS, f"{held} of {DRAWS} intervals hold it"

    def test_what_it_cannot_judge_is_a_typed_error(self) -> None:
        """Answers with NaN name the output; labels that are missing or cut short are refused.

        A class alone, as results show them, has a figure, or is left out by a DataError.
        """
        given = self._answers()
        if given.worse.dtype.kind == "f":
            broken = given.worse.copy()
            broken[1] = np.nan
            with pytest.raises(EdgeoptError, match="'o'"):
                self._figure(broken)
        with pytest.raises(EdgeoptError):
            self._figure(given.worse, given.labels[:-1])
        with pytest.raises(EdgeoptError):
            compute(self.quantity, {"o": given.worse})
        for label in np.unique(given.labels) if self._declared().labels == "classes" else ():
            rows = given.labels == label
            with suppress(DataError, ModelError):
                self._figure(given.worse[rows], given.labels[rows])

    def _declared(self) -> Quantity:
        assert self.quantity and isinstance(self.quantity, str), (
            f"{type(self).__name__} must set quantity to the name of the metric that it tests"
        )
        return declared(self.quantity)

    def _answers(self) -> Answers:
        """What ``answers`` gives, refused in words where it cannot be used."""
        given, name = self.answers(), type(self).__name__
        kind = type(given).__name__
        assert isinstance(given, Answers), f"answers() of {name} gives a {kind}: {ANSWERS}"
        for what, array in given._asdict().items():
            kind = type(array).__name__
            assert isinstance(array, np.ndarray), (
                f"{what} of {name}'s Answers is a {kind}, no array"
            )
        assert len({len(array) for array in given}) == 1, f"{name}'s Answers differ in length"
        return given

    def _figure(self, output: Array, labels: Array | None = None) -> Measurement:
        against = self._answers().labels if labels is None else labels
        if self._declared().labels:
            return compute(self.quantity, {"o": output}, {"o": against})
        return compute(self.quantity, {"o": output}, None, {"o": against})


def _check(figure: Measurement, quantity: str, unit: str) -> None:
    """A figure that can be compared and kept: named, in its unit, finite, within its interval."""
    low, high = figure.interval
    said = f"it gives '{figure.quantity}' in '{figure.unit}', not '{quantity}' in '{unit}'"
    assert (figure.quantity, figure.unit) == (quantity, unit), said
    assert np.isfinite([low, figure.value, high]).all(), (
        f"{quantity} is {low}, {figure.value}, {high}"
    )
    assert low <= figure.value <= high or np.isclose(figure.value, figure.interval, rtol=1e-9).any()
    canonical(figure.to_json())
