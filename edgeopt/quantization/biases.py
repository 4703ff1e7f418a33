"""int32 biases: how small the scale of a weight may be."""

from __future__ import annotations

from typing import Any

import numpy as np

MOST_STEPS = 2.0**30  # in a bias: room for the sum beside it in 32 bits
SMALLEST_STEP = float(np.finfo(np.float32).tiny)  # below, a file's float32 scale loses digits

Array = np.ndarray[Any, Any]


def least_scales(bias: Array, input_scale: float) -> Array:
    """The smallest weight scales, (channels,), with which a bias fits, (channels,), float64.

    A bias counts in steps of input scale times weight scale (Jacob et al., arXiv:1712.05877,
    section 2.4), in 32 bits together with the sum of products. A channel with tiny weights, or
    none, beside a large bias needs a larger scale than its weights do: what that costs in digits
    of the weights is less than a step of the result, as the bias decides the result's range.
    """
    steps = np.maximum(np.abs(bias.astype(np.float64)) / MOST_STEPS, SMALLEST_STEP)
    scales: Array = steps / np.float64(input_scale)
    return scales
