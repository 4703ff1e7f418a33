from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.quantization.biases import MOST_STEPS, SMALLEST_STEP, least_scales


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), st.floats(1e-6, 1e3))
def test_a_bias_fits_with_room_for_the_sum_beside_it(bias: list[float], scale: float) -> None:
    given_bias = np.array(bias)
    found = least_scales(given_bias, scale)
    assert found.shape == given_bias.shape and (found > 0).all()
    steps = np.abs(given_bias) / (found * scale)
    assert (steps <= MOST_STEPS * (1 + 1e-9)).all()
    assert (found * scale >= SMALLEST_STEP * (1 - 1e-9)).all()


def test_no_scale_is_larger_than_it_must_be() -> None:
    assert least_scales(np.array([2.0**30, -(2.0**31)]), 0.5).tolist() == [2.0, 4.0]
    assert least_scales(np.zeros(1), 2.0)[0] == pytest.approx(SMALLEST_STEP / 2)
