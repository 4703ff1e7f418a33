"""Inputs that are fed the same number with every sample: what a recipe gives in place of an array.

``data.inputs: {image: images, rate: 16000}``: a string names an array, a number is a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeopt.schema.artifact import Tensor
from edgeopt.schema.errors import DataError

Constant = bool | int | float
DTYPES = {bool: ("bool",), int: ("int64", "float32"), float: ("float32",)}  # of what torch is fed


def constants_of(inputs: Mapping[str, str | Constant] | None) -> dict[str, Constant]:
    """Model input -> its constant."""
    return {name: v for name, v in (inputs or {}).items() if not isinstance(v, str)}


def arrays_named(inputs: Mapping[str, str | Constant] | None) -> dict[str, str] | None:
    """Model input -> array; None where none is named, and names decide."""
    return {name: v for name, v in (inputs or {}).items() if isinstance(v, str)} or None


def check_value(tensor: Tensor, value: Constant) -> None:
    """Raise DataError for a value that the input's dtype cannot hold."""
    try:
        dtype = np.dtype(tensor.dtype)
        with np.errstate(all="ignore"):
            held = np.asarray(value).astype(dtype)
        whole = dtype.kind == "f" or (not isinstance(value, float) or value.is_integer())
        low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (0, 1)
        within = bool(np.isfinite(held)) if dtype.kind == "f" else low <= value <= high
        within &= isinstance(value, float) or held.item() == value  # 2**24 + 1 is no float32
    except (TypeError, OverflowError):
        whole = within = False
    if not (whole and within):
        raise DataError(
            f"input '{tensor.name}' takes {tensor.dtype}, which cannot hold the constant {value}",
            hint=f"give another number for {tensor.name} under data.inputs",
        )


def for_torch(value: Constant) -> dict[str, Any]:
    """What a constant makes of an input of a network that says nothing of its inputs."""
    said: list[dict[str, Any]] = [
        {"shape": [], "dtype": dtype, "layout": "", "constant": value}
        for dtype in DTYPES[type(value)]
    ]
    first, *further = said
    return first | ({"else": further} if further else {})
