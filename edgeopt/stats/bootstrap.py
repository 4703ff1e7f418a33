"""Bootstrap intervals over samples: percentile, 95%, with a fixed seed.

Samples are resampled whole, so figures of two models on the same samples stay paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

RESAMPLES = 2000
SEED = 0
CONFIDENCE = 0.95
PROTOCOL = f"percentile bootstrap over samples, {RESAMPLES} resamples, seed {SEED}"
_BATCH_ELEMENTS = 1 << 22  # drawn at once: bounds memory, not the result
_KEPT_BYTES = 1 << 26  # of the counts that serve several statistics


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


def bootstrap_of_means(statistic: Callable[..., Any], *columns: Array) -> tuple[float, float]:
    """The same interval for a statistic of the columns' means, at a small part of the cost.

    ``statistic(*means)`` takes arrays of one mean a resample, and single means. A resample enters
    the means by how often it holds each sample, so one matrix product gives those of all of them,
    and the counts serve every candidate. Raises ValueError for fewer than two samples.
    """
    n = len(columns[0])
    if n < 2:
        raise ValueError("a bootstrap needs at least two samples")
    each = [np.asarray(column, np.float64) for column in columns]
    table = np.stack(each, axis=1)
    means = np.concatenate([_means(drawn, table) for drawn in _times_drawn(n)]) / n
    with np.errstate(invalid="ignore"):
        values = np.asarray(statistic(*means.T), np.float64)
        own = float(statistic(*(column.mean() for column in each)))
    return holding(percentile_interval(values), own)


def _means(drawn: Array, table: Array) -> Array:
    """Sums over resamples, (resamples, columns); what was never drawn adds nothing, even inf."""
    if np.isfinite(table).all():
        sums: Array = drawn.astype(np.float64) @ table
        return sums
    drawn = drawn[:, :, None]
    present: Array = np.where(drawn > 0, drawn * table, 0.0).sum(axis=1)
    return present


def _times_drawn(n: int) -> Iterator[Array]:
    """How often each of ``n`` samples is drawn, in batches (resamples, n) of uint8."""
    if RESAMPLES * n <= _KEPT_BYTES:
        yield _kept_draws(n)
    else:
        rng = np.random.default_rng(SEED)
        rows = max(1, _BATCH_ELEMENTS // n)
        for first in range(0, RESAMPLES, rows):
            yield _drawn(rng, min(rows, RESAMPLES - first), n)


@lru_cache(maxsize=2)
def _kept_draws(n: int) -> Array:
    rng = np.random.default_rng(SEED)
    rows = max(1, _BATCH_ELEMENTS // n)
    starts = range(0, RESAMPLES, rows)
    return np.concatenate([_drawn(rng, min(rows, RESAMPLES - first), n) for first in starts])


def _drawn(rng: np.random.Generator, rows: int, n: int) -> Array:
    """Counts fit into a byte: of 256 samples or more, none is ever drawn 255 times in one."""
    cells = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
    counts = np.bincount(cells.ravel(), minlength=rows * n).reshape(rows, n)
    return np.minimum(counts, 255).astype(np.uint8)


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
