"""Contests of all targets: those on this machine one by one, each board's beside them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from edgeopt.engine import Engine
from edgeopt.pipeline.contest import Contest
from edgeopt.pipeline.decision import Decision, one_line
from edgeopt.schema.errors import DeviceError, EdgeoptError, UnreachableError
from edgeopt.transport.kinds import works_here

FAREWELL_S = 15.0


def decide_all(
    contests: Sequence[Contest], engine: Engine, another: Callable[[], Engine]
) -> list[Decision]:
    """A decision for each contest, in their order; a device that is lost is one, too.

    ``engine`` serves this machine, ``another`` makes one for each board, which has a thread.
    Raises what stops the whole run, after all threads have ended.
    """
    rows: dict[str, list[Contest]] = {}
    for contest in contests:
        device = contest.bench.target.device
        rows.setdefault("" if works_here(device) else device, []).append(contest)
    decided: dict[int, Decision] = {}
    first = rows.pop("", None) or rows.pop(next(iter(rows)))
    if rows:
        first[0].bench.score([], "validation")  # the source, for all of them
    boards = [_Row(row, another(), decided) for row in rows.values()]
    try:
        for board in boards:
            board.start()
        _decide(first, engine, decided)
        for board in boards:
            while board.is_alive():  # in turns, so that Ctrl-C gets through
                board.join(0.2)
    finally:
        for board in boards:
            board.engine.close()
        for board in boards:
            board.join(FAREWELL_S)
    for board in boards:
        if board.raised is not None:
            raise board.raised
    return [decided[id(contest)] for contest in contests]


class _Row(threading.Thread):
    """The contests of one board, one after the other."""

    def __init__(
        self, contests: Sequence[Contest], engine: Engine, decided: dict[int, Decision]
    ) -> None:
        super().__init__(name=f"edgeopt-{contests[0].bench.target.device}", daemon=True)
        self.contests, self.engine, self.decided = contests, engine, decided
        self.raised: EdgeoptError | None = None

    def run(self) -> None:
        try:
            _decide(self.contests, self.engine, self.decided)
        except EdgeoptError as error:
            self.raised = error
        except Exception as error:
            self.raised = EdgeoptError(f"{type(error).__name__}: {error}", where=self.name)


def _decide(contests: Sequence[Contest], engine: Engine, decided: dict[int, Decision]) -> None:
    for contest in contests:
        contest.bench.engine = engine
        try:
            decided[id(contest)] = contest.run()
        except UnreachableError as error:
            decided[id(contest)] = Decision("unreachable", str(error), error=error)
        except DeviceError as error:  # nothing can be measured there
            decided[id(contest)] = Decision("failed", one_line(str(error)))
