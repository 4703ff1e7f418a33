"""What the rounding of float32 alone does to a network's answers.

Where large numbers cancel, the digits that are left are those that rounding made: an order of sums
that follows the size of a batch, or the least change of the inputs, moves them all. Such a network
is steady and its samples do not touch each other, so it must not be told as that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeopt.worker.answers import Answering

TRIES = 2
EXPLAINED = 16  # times the noise: differences up to that are rounding's


def noise(model: Answering, outputs: Sequence[np.ndarray]) -> list[float]:
    """How far one rounding step of every float input, up or down at random, moves each output.

    The largest finite difference over all samples; zeros where no input is a float.
    """
    rng = np.random.default_rng(0)
    largest = [0.0] * len(outputs)
    if not any(feed.dtype.kind == "f" for feed in model.feeds.values()):
        return largest
    for _ in range(TRIES):
        feeds = {name: _nudged(feed, rng) for name, feed in model.feeds.items()}
        for place, (a, b) in enumerate(zip(outputs, model.outputs(feeds), strict=True)):
            with np.errstate(invalid="ignore"):
                off = np.abs(a.astype(np.float64) - b.astype(np.float64))
            largest[place] = max(largest[place], float(off[np.isfinite(off)].max(initial=0.0)))
    return largest


def _nudged(feed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A float array whose values went to their neighbours; another array as it is."""
    if feed.dtype.kind != "f":
        return feed
    ends = np.where(rng.random(feed.shape) < 0.5, -np.inf, np.inf).astype(feed.dtype)
    made: np.ndarray = np.nextafter(feed, ends)
    return made
