"""Along which axis of its inputs a model takes samples, where only running it can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]
COUNT = 3  # samples that are tried together


def touching(run: Run, shapes: Mapping[str, Sequence[int]], dtypes: Mapping[str, str],
             axes: Mapping[str, int]) -> bool:  # fmt: skip
    """Whether the answer to the first sample depends on the others.

    ``shapes`` by input, with at least two samples on the input's axis in ``axes``; an input that
    has none there is the same for all samples. Numbers are drawn, those of integers are 0 and 1.
    Where an output follows the inputs at all, it must have an axis of as many samples on which
    the first keeps its answer while the others get new inputs. What ``run`` raises goes through.
    """
    rng = np.random.default_rng(0)
    feeds = {name: _drawn(rng, shape, dtypes[name]) for name, shape in shapes.items()}
    others = {}
    for name, feed in feeds.items():
        others[name] = feed.copy()
        if name in axes:
            rest = _after_first(feed.ndim, axes[name])
            others[name][rest] = _drawn(rng, feed.shape, dtypes[name])[rest]
    count = next(shapes[name][axis] for name, axis in axes.items())
    here, there = run(feeds), run(others)
    return any(not _keeps_first(here[name], there[name], count) for name in here)


def _after_first(rank: int, axis: int) -> tuple[slice, ...]:
    return tuple(slice(1, None) if each == axis else slice(None) for each in range(rank))


def _drawn(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> Array:
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 2, shape).astype(dtype)


def _keeps_first(a: Array, b: Array, count: int) -> bool:
    if a.shape != b.shape:
        return False
    if alike(a, b):
        return True
    axes = [axis for axis, size in enumerate(a.shape) if size == count]
    return any(alike(a.take(0, axis), b.take(0, axis)) for axis in axes)


def alike(a: Array, b: Array) -> bool:
    """Whether answers are the same but for sums in another order."""
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True))
