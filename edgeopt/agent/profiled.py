"""How often a model is run under a runtime's own profiler."""

from __future__ import annotations

import time
from typing import Any, Callable

FEWEST, MOST, BUDGET_S = 3, 30, 0.3


def repeats(call: Callable[[], Any]) -> int:
    """Call it for a third of a second, 3 to 30 times; how often."""
    began = time.perf_counter()
    for count in range(1, MOST + 1):
        call()
        if count >= FEWEST and time.perf_counter() - began > BUDGET_S:
            return count
    return MOST
