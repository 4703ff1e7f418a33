"""Outputs with and without an axis of samples."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.agent.errors import AgentError
from edgeopt.agent.whole import of_samples

ANCHORS = np.arange(10.0).reshape(5, 2)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_one_answer_for_a_batch_is_that_of_each_sample(size: int) -> None:
    whole = {"anchors": (5, 2), "scale": (), "one": (1, 2), "sized": ("n", 2)}
    for name, array in (("anchors", ANCHORS), ("sized", ANCHORS), ("scale", np.array(3.0))):
        found = of_samples(name, array, size, whole)
        assert found.shape == (size, *array.shape)
        assert all(np.array_equal(each, array) for each in found)
    assert of_samples("one", ANCHORS[:1], size, whole).shape == (size, 2)


def test_other_outputs_are_left_as_they_are() -> None:
    assert of_samples("y", ANCHORS, 5, {"anchors": (5, 2)}) is ANCHORS
    # declared as fixed, but the axis is that of the samples
    assert of_samples("sloppy", ANCHORS, 5, {"sloppy": (1, 2)}) is ANCHORS


def test_a_first_axis_that_is_neither_is_refused() -> None:
    with pytest.raises(AgentError, match=r"shape \[5, 2\] for 4 samples"):
        of_samples("y", ANCHORS, 4, {})
