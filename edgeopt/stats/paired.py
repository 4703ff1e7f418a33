"""Paired answers, right or wrong: whether two models differ, by the samples where they do."""

from __future__ import annotations


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided mid-p value of McNemar's test for ``gained`` and ``lost`` of discordant pairs.

    Half of the probability of the table itself counts (Fagerland, Lydersen and Laake, BMC
    Medical Research Methodology 13:91, 2013). 1 where no pair is discordant. Raises ValueError
    for negative counts.
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"{gained} and {lost} are no counts")
    n, fewer = gained + lost, min(gained, lost)
    if n == 0:
        return 1.0
    from scipy.special import bdtr  # slow; all of scipy.stats is ten times slower

    below = float(bdtr(fewer - 1, n, 0.5)) if fewer else 0.0
    return min(1.0, below + float(bdtr(fewer, n, 0.5)))
