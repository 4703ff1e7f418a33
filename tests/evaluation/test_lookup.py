from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from edgeopt.evaluation import compute, default_metrics, difference, needs_labels
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.schema.quantities import declared

OUTPUTS = {"o": np.eye(3)}
LABELS = np.arange(3)


def test_what_is_measured_where_nobody_says_otherwise() -> None:
    fidelity = ("fidelity.cosine", "fidelity.sqnr", "fidelity.agreement")
    rng, classes = np.random.default_rng(0), np.zeros(9, np.int64)
    ten, more, one = ({"o": rng.normal(size=(9, k))} for k in (10, 11, 1))
    assert default_metrics(ten, classes) == ("accuracy", "macro_f1", *fidelity)
    assert default_metrics(more, classes) == ("accuracy", "macro_f1", "top5", *fidelity)
    assert default_metrics(one, rng.normal(size=9)) == ("mse", "mae", *fidelity)
    assert default_metrics(ten) == fidelity
    assert default_metrics({"o": 9_000 + rng.random((9, 1))}) == fidelity[:2]
    masks = np.zeros((9, 4, 4), np.int64)
    assert default_metrics({"o": rng.normal(size=(9, 3, 4, 4))}, masks) == fidelity


@pytest.mark.parametrize(
    "quantity", ["accuracy", "macro_f1", "top5", "fidelity.cosine", "fidelity.sqnr",
                 "fidelity.agreement"],
)  # fmt: skip
def test_every_default_is_computed_in_the_unit_of_the_grammar(quantity: str) -> None:
    scores = {"o": np.random.default_rng(0).random((20, 10))}
    found = compute(quantity, scores, np.arange(20) % 10, scores)
    assert (found.quantity, found.unit) == (quantity, declared(quantity).unit)
    assert needs_labels(quantity) is not quantity.startswith("fidelity.")


@pytest.mark.parametrize("quantity", ["latency.p50", "size", "memory.peak"])
def test_what_a_race_measures_is_no_metric(quantity: str) -> None:
    with pytest.raises(UsageError, match=f"'{quantity}' is not a metric"):
        compute(quantity, OUTPUTS, LABELS)


def test_an_unknown_metric_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        compute("acuracy", OUTPUTS, LABELS)
    assert caught.value.hint == "Did you mean 'accuracy'?"


def test_what_is_missing_is_named() -> None:
    with pytest.raises(DataError, match="accuracy needs labels"):
        compute("accuracy", OUTPUTS)
    with pytest.raises(DataError, match="macro_f1 needs labels"):
        difference("macro_f1", OUTPUTS, OUTPUTS, None)
    with pytest.raises(UsageError, match="needs the source's outputs"):
        compute("fidelity.cosine", OUTPUTS)


def test_fidelity_has_no_difference_to_the_source() -> None:
    with pytest.raises(UsageError, match="already compares with the source"):
        difference("fidelity.cosine", OUTPUTS, OUTPUTS, LABELS)


def test_importing_metrics_loads_no_scipy() -> None:
    code = "import sys, edgeopt.evaluation, edgeopt.data.load; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
