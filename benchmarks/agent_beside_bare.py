"""The agent, with one request more: ``bare`` runs the session that is open without edgeopt.

    python benchmarks/agent_beside_bare.py FOLDER

In two processes the same loop differs by several percent, for memory lies elsewhere; here both
loops have the same session and samples in one process, and differ by their own code alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeopt.agent import __main__ as program
from edgeopt.agent.serve import Agent, Answer


class Beside(Agent):
    """An agent that can also be asked for the bare loop."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self._requests["bare"] = self.bare

    def bare(self, request: Mapping[str, Any]) -> Answer:
        """Nanoseconds of one turn in a loop as anybody would write it, after one untimed run."""
        ((session, feeds, first, loops),) = self._turns(request)
        run, clock = session._session.run, time.perf_counter_ns
        run(None, feeds[first % len(feeds)])
        taken = []
        for number in range(loops):
            feed = feeds[(first + number) % len(feeds)]
            start = clock()
            run(None, feed)
            taken.append(clock() - start)
        return {"load": None}, {"ns": np.array(taken, dtype=np.int64)}


if __name__ == "__main__":
    program.Agent = Beside  # type: ignore[misc]
    program.main()
