"""Rates of training, step by step."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.training import TrainingSettings
from edgeopt.training.schedule import learning_rate


@given(
    st.sampled_from(["constant", "cosine", "one-cycle", "step"]),
    st.integers(1, 500),
    st.one_of(st.none(), st.floats(0, 0.9)),
)
def test_rates_are_positive_and_never_above_the_highest(
    schedule: str, total: int, warmup: float | None
) -> None:
    settings = TrainingSettings.model_validate({"schedule": schedule, "lr": 0.3, "warmup": warmup})
    rates = [learning_rate(settings, step, total) for step in range(total)]
    assert all(0 <= rate <= 0.3 + 1e-12 for rate in rates)
    assert any(rate > 0 for rate in rates)


def test_the_shape_of_each_schedule() -> None:
    def rates(**fields: object) -> list[float]:
        settings = TrainingSettings.model_validate({"lr": 1.0, **fields})
        return [learning_rate(settings, step, 100) for step in range(100)]

    one_cycle = rates(schedule="one-cycle")
    assert np.argmax(one_cycle) in (19, 20, 21) and one_cycle[-1] < 0.01 and one_cycle[0] < 0.1
    assert rates(schedule="constant") == [1.0] * 100
    assert math.isclose(rates(schedule="cosine")[50], 0.5)
    falling = rates(schedule="step", decay_at=(0.3, 0.6), decay=0.5)
    assert (falling[29], falling[30], falling[60]) == (1.0, 0.5, 0.25)
