"""Races of milliseconds, for tests that assert no time; run as a program: edgeopt with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import patch

PROCESSES = 2  # the fewest that have an interval
RACING = ("optimize", "benchmark", "compare", "job")


@contextmanager
def shortened(*, few: bool = True) -> Iterator[None]:
    """Every race takes the fewest turns and, if ``few``, two processes, and none goes on."""
    from edgeopt.bench.race import SCHEDULES
    from edgeopt.decide import racing, settings
    from edgeopt.decide.elimination import Elimination

    counts = {"processes": PROCESSES, "most_processes": PROCESSES} if few else {}
    least = {
        name: replace(full, **counts, turns=6, turn_ms=1.0, warm_ms=1.0)
        for name, full in SCHEDULES.items()
    }
    with ExitStack() as stack:
        stack.enter_context(patch.dict(SCHEDULES, least))
        if few:
            stack.enter_context(patch.object(racing, "FIRST", PROCESSES))
            stack.enter_context(patch.object(settings, "PROCESSES", PROCESSES))
            stack.enter_context(patch.object(Elimination, "_further", lambda self, ids: {}))
        yield


def main() -> None:
    """The console script."""
    from edgeopt import cli

    if not set(RACING) & set(sys.argv[1:2]):
        cli.main()
    with shortened():
        cli.main()


if __name__ == "__main__":
    main()
