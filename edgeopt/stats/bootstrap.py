"""Bootstrap intervals over samples: percentile, 95%, with a fixed seed.

Samples are resampled whole, so figures of two models on the same samples stay paired.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

RESAMPLES = 2000
SEED = 0
CONFIDENCE = 0.95
PROTOCOL = f"percentile bootstrap over samples, {RESAMPLES} resamples, seed {SEED}"
_BATCH_ELEMENTS = 1 << 22  # drawn at once: bounds memory, not the result


def bootstrap(statistic: Callable[..., Any], *columns: Array) -> tuple[float, float]:
    """Interval of ``statistic(*columns, axis=-1)`` for columns of shape (n,), row by row paired.

    ``statistic`` must be vectorized. Efron's percentile interval by ``scipy.stats.bootstrap``,
    widened where it does not hold the statistic of the samples themselves.
    Raises ValueError for fewer than two samples.
    """
    n = len(columns[0])
    if n < 2:
        raise ValueError("a bootstrap needs at least two samples")
    from scipy.stats import bootstrap as scipy_bootstrap  # slow

    interval = scipy_bootstrap(
        columns,
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, _BATCH_ELEMENTS // n),
        vectorized=True,
        paired=True,
        axis=-1,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    own = float(statistic(*columns, axis=-1))
    return holding((float(interval.low), float(interval.high)), own)


def resampled_counts(counts: Array) -> Array:
    """Bootstrap resamples of a table of counts, (RESAMPLES, cells).

    Where a figure depends on samples only by how many fall into each cell (hits, a confusion
    matrix), drawing the counts is drawing the samples: they are multinomial.
    """
    n = int(counts.sum())
    rng = np.random.default_rng(SEED)
    drawn: Array = rng.multinomial(n, np.asarray(counts, np.float64) / n, size=RESAMPLES)
    return drawn


def holding(interval: tuple[float, float], value: float) -> tuple[float, float]:
    """An interval that holds a value, widened to it where resamples of a skewed figure do not.

    NaN stays.
    """
    low, high = interval
    return (value if low > value else low), (value if high < value else high)


def percentile_interval(values: Array) -> tuple[float, float]:
    """The middle 95% of a figure's resampled values."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
