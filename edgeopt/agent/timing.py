"""The timing loop: raw nanoseconds of single inferences, turn by turn."""

from __future__ import annotations

import gc
import time
from typing import Any, Callable, List, Sequence, Tuple

import numpy as np

Turn = Tuple[Any, Sequence[Any], int, int]
# (session, its prepared feeds, index of the first feed, timed inferences)


def time_turns(turns: Sequence[Turn]) -> np.ndarray:
    """Nanoseconds of every timed inference, turn after turn: int64 (sum of loops,).

    Each turn begins with one untimed inference, which takes the caches back from the turn
    before; feeds are cycled. The collector is off meanwhile. A session with ``timed`` has a
    clock of its own, such as an accelerator's.
    """
    taken: List[int] = []
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for session, feeds, first, loops in turns:
            session.call(feeds[first % len(feeds)])
            cycled = [feeds[(first + i) % len(feeds)] for i in range(loops)]
            own = getattr(session, "timed", None)
            taken.extend(own(cycled) if own else _timed(session.call, cycled))
    finally:
        if was_on:
            gc.enable()
    return np.array(taken, dtype=np.int64)


def _timed(call: Callable[[Any], Any], feeds: Sequence[Any]) -> List[int]:
    clock = time.perf_counter_ns
    taken = [0] * len(feeds)
    for index, feed in enumerate(feeds):
        start = clock()
        call(feed)
        taken[index] = clock() - start
    return taken
