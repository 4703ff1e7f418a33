"""Preprocessing: the few steps that turn raw samples into what the model was trained on.

All arithmetic is float32, step by step, each operation rounded, channels last:

    {scale: s}                      x -> x / s
    {normalize: {mean: m, std: d}}  x -> (x - m) / d    m and d: one number, or one a channel

Layout is no step: the signature of each artifact says it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from edgeopt.schema.base import Noun
from edgeopt.schema.errors import UsageError, did_you_mean

STEPS = ("scale", "normalize")
EXAMPLE = "e.g. preprocess: [{scale: 255}, {normalize: {mean: 0.286, std: 0.353}}]"


class Step(Noun):
    """One step as ``x -> (x - subtract) / divide``; one number, or one a channel."""

    kind: Literal["scale", "normalize"]
    subtract: tuple[float, ...] = ()
    divide: tuple[float, ...]

    @property
    def channels(self) -> int:
        """How many channels it is for; 1 fits any number."""
        return max(len(self.subtract), len(self.divide))

    def apply(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The step on float32 samples, channels last."""
        if self.subtract:
            x = x - np.asarray(self.subtract, np.float32)
        return x / np.asarray(self.divide, np.float32)


def steps_for(preprocess: Any, name: str, where: str = "") -> tuple[Step, ...]:
    """The steps for the input ``name``: a list holds for all, a map for the inputs it names.

    Raises UsageError for a step that cannot be read.
    """
    if isinstance(preprocess, Mapping):
        preprocess = preprocess.get(name, [])
    if isinstance(preprocess, str) or not isinstance(preprocess, Sequence):
        raise UsageError(
            f"preprocess must be a list, not {preprocess!r}", where=where, hint=EXAMPLE
        )
    return tuple(parse_step(raw, where) for raw in preprocess)


def parse_step(raw: Any, where: str = "") -> Step:
    """One step of its YAML form. Raises UsageError that names the part that is wrong."""
    if not isinstance(raw, Mapping) or len(raw) != 1:
        raise UsageError(f"a preprocess step is one key, not {raw!r}", where=where, hint=EXAMPLE)
    kind, value = next(iter(raw.items()))
    if kind == "scale":
        return Step(kind="scale", divide=_numbers(value, "scale", where, zero=False)[:1])
    if kind == "normalize":
        if not isinstance(value, Mapping) or set(value) != {"mean", "std"}:
            raise UsageError("normalize takes 'mean' and 'std'", where=where, hint=EXAMPLE)
        mean = _numbers(value["mean"], "mean", where, many=True)
        std = _numbers(value["std"], "std", where, many=True, zero=False)
        if len(mean) > 1 and len(std) > 1 and len(mean) != len(std):
            raise UsageError(
                f"normalize has {len(mean)} means and {len(std)} deviations", where=where
            )
        return Step(kind="normalize", subtract=mean, divide=std)
    raise UsageError(
        f"unknown preprocess step '{kind}'", where=where, hint=did_you_mean(str(kind), STEPS)
    )


def preprocessed(x: np.ndarray[Any, Any], steps: Sequence[Step]) -> np.ndarray[Any, Any]:
    """``steps`` on samples with channels last, as float32 of the same shape."""
    result = x.astype(np.float32)
    for step in steps:
        result = step.apply(result)
    return result


def _numbers(
    value: Any, name: str, where: str, *, many: bool = False, zero: bool = True
) -> tuple[float, ...]:
    """One finite number, or several where ``many``, as floats that float32 can hold."""
    values = value if many and isinstance(value, list | tuple) else [value]
    for number in values:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise UsageError(
                f"'{name}' must be a number, not {number!r}", where=where, hint=EXAMPLE
            )
        tiny = 0.0 if zero else float(np.finfo(np.float32).tiny)
        if not (math.isfinite(number) and tiny <= abs(number) <= float(np.finfo(np.float32).max)):
            raise UsageError(f"'{name}' cannot be {number}", where=where)
    if not values:
        raise UsageError(f"'{name}' is empty", where=where, hint=EXAMPLE)
    return tuple(float(number) for number in values)
