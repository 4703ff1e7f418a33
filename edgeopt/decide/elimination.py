"""Successive elimination: who is still in the running, and whose race takes more processes.

A candidate goes only when its whole interval lies above that of another which meets the
constraints. Where two cannot be told apart, both take more processes, until one is known to be
within 2% of the best, or all have taken as many as a race may take (Even-Dar, Mannor and Mansour,
"Action elimination and stopping conditions for the multi-armed bandit", JMLR 7, 2006).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import hypot, log

from edgeopt.schema.measurement import WIDE, Measurement
from edgeopt.stats.pooled import OWN, POOLED, alike, pooled_intervals, sampled
from edgeopt.stats.ratios import Interval

KNOWN = 0.02  # of the best's time: the winner may take that much longer, and no more
FIRST = 3  # processes of every race
ROUND = 2  # processes that a round adds
MOST = 15  # processes of a candidate


@dataclass(frozen=True)
class Elimination:
    """Ratios to the reference by candidate, of which less is better, as far as they are known.

    ``certain`` are those that meet all constraints, as far as these were measured; of the others
    it is still open. ``exact`` needs no race: the reference, at 1. ``places`` tell who of a tie
    comes first: the least.
    """

    ratios: Mapping[str, Measurement]
    places: Mapping[str, tuple[float, ...]]
    certain: Collection[str]
    exact: str = ""

    def alive(self) -> list[str]:
        """Those that may be the best."""
        ends = [self.ratios[id].interval[1] for id in self.certain if id in self.ratios]
        best = min(ends, default=float("inf"))
        return [id for id, ratio in self.ratios.items() if ratio.interval[0] <= best]

    def known(self) -> list[str]:
        """Those that are known to be within 2% of the best, by their places."""
        alive = self.alive()
        near = [id for id in alive if id in self.certain and self._worst(id, alive) <= LIMIT]
        return sorted(near, key=lambda id: (self.places.get(id, ()), self.ratios[id].value))

    def wanted(self) -> dict[str, int]:
        """How many processes in all each candidate should have taken after the next round."""
        alive = self.alive()
        if self.known():
            return {}
        asked = [id for id in alive if id not in self.certain]
        if leaders := [id for id in alive if id in self.certain]:
            leader = min(leaders, key=lambda id: self._worst(id, alive))
            near = [id for id in alive if excess(self.ratios[leader], self.ratios[id]) > LIMIT]
            asked += [leader, *near]
        return self._further(asked)

    def wanted_by_bounds(self) -> dict[str, int]:
        """The same where speed is no objective: only bounds on it are to be decided."""
        return self._further(id for id in self.ratios if id not in self.certain)

    def _further(self, ids: Iterable[str]) -> dict[str, int]:
        taken = {id: self.ratios[id].n for id in dict.fromkeys(ids) if id != self.exact}
        return {id: min(n + ROUND, MOST) for id, n in taken.items() if n < MOST}

    def order(self) -> list[str]:
        """Those that are certain: the best, then who may be as fast, then the beaten.

        The best of those known to be near it is told by place; where none is, it is the one
        that may exceed another least. The others follow by their figures.
        """
        alive = self.alive()
        standing = [id for id in alive if id in self.certain]
        if not standing:
            return []
        best = min(standing, key=lambda id: self._worst(id, alive))
        best = next(iter(self.known()), best)
        others = [id for id in self.ratios if id in self.certain and id != best]
        return [best, *sorted(others, key=lambda id: (id not in alive, self.ratios[id].value))]

    def _worst(self, id: str, others: Collection[str]) -> float:
        mine = self.ratios[id]
        return max((excess(mine, self.ratios[k]) for k in others if k != id), default=0.0)


LIMIT = log(1 + KNOWN)


def excess(mine: Measurement, theirs: Measurement) -> float:
    """The upper end of how much more mine may be, as a logarithm; both independent."""
    upper = log(mine.interval[1] / mine.value)
    lower = log(theirs.value / theirs.interval[0])
    return log(mine.value / theirs.value) + hypot(upper, lower)


def pooled(ratios: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """The same figures with intervals whose variance is pooled, where they have one."""
    several = {id: m for id, m in ratios.items() if m.n > 1 and m.high is not None}
    samples = [sampled(Interval(m.value, m.low, m.high, m.n)) for m in several.values()]
    pool, intervals = alike(samples), pooled_intervals(samples)
    shared = POOLED.format(len(pool))
    return {
        id: _with(m, interval, shared if place in pool else OWN)
        for place, ((id, m), interval) in enumerate(zip(several.items(), intervals, strict=True))
    }


def _with(m: Measurement, interval: Interval, method: str) -> Measurement:
    marks = set(m.marks) - {"wide"} | ({"wide"} if interval.half_width > WIDE else set())
    how = m.protocol.partition(", Student's t")[0]
    ends = {"low": interval.low, "high": interval.high, "marks": tuple(sorted(marks))}
    told = {"protocol": f"{how}, {method}"} if how else {}
    return m.model_copy(update=ends | told)
