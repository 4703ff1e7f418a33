"""Rows of samples as a model takes them: what is the same for all samples is fed once.

Samples lie first everywhere else, (n, ...) by input. ``axes`` says of an input on which axis the
model takes them, where that is not the first: None where it takes none, a constant.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

import numpy as np

Axes = Mapping[str, Optional[int]]


def repeated(array: np.ndarray, n: int) -> np.ndarray:
    """A constant as n samples would be, (n, ...): a view that takes no memory."""
    return np.broadcast_to(array, (n, *array.shape))


def as_fed(rows: Mapping[str, Any], axes: Axes) -> Dict[str, np.ndarray]:
    """Samples by input, (b, ...) each, as a model takes them."""
    return {name: _placed(np.asarray(each), axes.get(name, 0)) for name, each in rows.items()}


def samples_first(output: np.ndarray, axis: int) -> np.ndarray:
    """An output whose samples lie on an axis, with them before all other axes."""
    return np.ascontiguousarray(np.moveaxis(output, axis, 0)) if 0 < axis < output.ndim else output


def _placed(rows: np.ndarray, axis: Optional[int]) -> np.ndarray:
    if axis is None:
        return np.array(rows[0], order="C")
    return np.ascontiguousarray(np.moveaxis(rows, 0, axis) if axis else rows)
