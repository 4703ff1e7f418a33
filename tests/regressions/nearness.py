"""Whether an output near another's passes where nobody names a bound; outputs to try it with."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeopt.decide.choose import judge_all
from edgeopt.evaluation import figures
from edgeopt.recipe.space import space
from edgeopt.schema.constraint import parse_constraint
from edgeopt.schema.errors import EdgeoptError

Outputs = dict[str, np.ndarray[Any, Any]]


def accepted(outputs: Outputs, source: Outputs) -> bool:
    """Whether the bounds that hold where nobody names any let a candidate pass."""
    asked = space("onnx", {}, classes=False)["constraints"]
    bounds = [parse_constraint(text) for text in asked]
    try:
        measured = figures([c.quantity for c in bounds], outputs, source)
    except EdgeoptError:
        return False
    return all(v.verdict == "pass" for v in judge_all(bounds, measured, {}))


def drawn(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=shape)


def quantized(values: np.ndarray[Any, Any], steps: int = 255) -> np.ndarray[Any, Any]:
    """To a grid over the range of all values, zero on it, as static INT8 has it."""
    finite = values[np.isfinite(values) & (values > -1e6)]
    step = (max(finite.max(), 0) - min(finite.min(), 0)) / steps
    return np.where(np.isfinite(values) & (values > -1e6), np.round(values / step) * step, values)
