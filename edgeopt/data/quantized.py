"""Quantized inputs and outputs: the host turns real numbers into codes and back.

``real = scale * (code - zero_point)``, one scale a tensor (TensorFlow Lite's 8-bit
quantization specification; Jacob et al., arXiv:1712.05877).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeopt.schema.artifact import Tensor

Array = np.ndarray[Any, Any]


def quantized(values: Array, tensor: Tensor) -> Array:
    """Codes of real values: to the nearest, halves to even, cut to the dtype's range."""
    assert tensor.scale is not None and tensor.zero_point is not None
    limits = np.iinfo(tensor.dtype)
    codes = np.rint(values.astype(np.float64) / tensor.scale) + tensor.zero_point
    held: Array = np.clip(codes, limits.min, limits.max).astype(tensor.dtype)
    return held


def dequantized(codes: Array, tensor: Tensor) -> Array:
    """Real values of an output's codes, float32; an output without a scale as it is."""
    if tensor.scale is None or tensor.zero_point is None or codes.dtype.kind not in "iu":
        return codes
    real: Array = (codes.astype(np.float32) - tensor.zero_point) * np.float32(tensor.scale)
    return real
