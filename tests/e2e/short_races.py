"""Races of milliseconds, for tests that assert no time; run as a program: edgeopt with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

PROCESSES = 2  # the fewest that have an interval
RACING = ("optimize", "benchmark", "compare")


@contextmanager
def shortened() -> Iterator[None]:
    """Every race takes two processes with the fewest turns, and none goes on."""
    from edgeopt.bench.race import SCHEDULES
    from edgeopt.decide import elimination, racing, settings

    few = {"processes": PROCESSES, "most_processes": PROCESSES, "turns": 6}
    least = {
        name: replace(full, **few, turn_ms=1.0, warm_ms=1.0) for name, full in SCHEDULES.items()
    }
    with (
        patch.dict(SCHEDULES, least),
        patch.object(racing, "FIRST", PROCESSES),
        patch.object(elimination, "MOST", PROCESSES),
        patch.object(settings, "PROCESSES", PROCESSES),
    ):
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
