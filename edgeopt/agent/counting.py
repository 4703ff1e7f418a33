"""The counting loop: single inferences between marks, for an emulator that counts instructions.

A mark is a system call that no kernel has: it does nothing here, and the emulator notes its
counters at each one.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Any, Callable, List, Sequence, Tuple

MARK = 60782  # keep equal to MARK in count.c of the emulated devices
EMPTY = 8  # pairs of marks with nothing between: what a mark itself costs

Turn = Tuple[Any, Sequence[Any], int, int]
# (session, its prepared feeds, index of the first feed, counted inferences)


def count_turns(turns: Sequence[Turn], warm: int) -> int:
    """Mark ``EMPTY`` empty pairs, then a pair around each counted inference; the pairs made.

    Each turn begins with ``warm`` uncounted inferences; feeds are cycled. The collector is off
    meanwhile, for it would run in some inferences and not in others.
    """
    mark = ctypes.CDLL(None).syscall
    number = ctypes.c_long(MARK)
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        _marked(mark, number, _nothing, [None] * EMPTY)
        pairs = EMPTY
        for session, feeds, first, loops in turns:
            for index in range(warm):
                session.call(feeds[(first + index) % len(feeds)])
            cycled = [feeds[(first + i) % len(feeds)] for i in range(loops)]
            _marked(mark, number, session.call, cycled)
            pairs += loops
    finally:
        if was_on:
            gc.enable()
    return pairs


def _marked(mark: Any, number: Any, call: Callable[[Any], Any], feeds: List[Any]) -> None:
    for feed in feeds:
        mark(number)
        call(feed)
        mark(number)


def _nothing(_feed: Any) -> None:
    """What an inference costs that does nothing."""
