"""Selections of all targets: those on this machine one by one, each board's beside them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from edgeopt.engine import Engine
from edgeopt.pipeline.target_run import Decided, TargetRun
from edgeopt.schema.errors import EdgeoptError
from edgeopt.transport.kinds import works_here

FAREWELL_S = 15.0


def decide_all(
    runs: Sequence[TargetRun], engine: Engine, another: Callable[[], Engine]
) -> list[Decided]:
    """A decision for each target, in their order; a device that is lost is one, too.

    ``engine`` serves this machine, ``another`` makes one for each board, which has a thread.
    Raises what stops the whole run, after all threads have ended.
    """
    rows: dict[str, list[TargetRun]] = {}
    for run in runs:
        device = run.bench.target.device
        rows.setdefault("" if works_here(device) else device, []).append(run)
    decided: dict[int, Decided] = {}
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
    return [decided[id(run)] for run in runs]


class _Row(threading.Thread):
    """The targets of one board, one after the other."""

    def __init__(
        self, runs: Sequence[TargetRun], engine: Engine, decided: dict[int, Decided]
    ) -> None:
        super().__init__(name=f"edgeopt-{runs[0].bench.target.device}", daemon=True)
        self.runs, self.engine, self.decided = runs, engine, decided
        self.raised: EdgeoptError | None = None

    def run(self) -> None:
        try:
            _decide(self.runs, self.engine, self.decided)
        except EdgeoptError as error:
            self.raised = error
        except Exception as error:
            self.raised = EdgeoptError(f"{type(error).__name__}: {error}", where=self.name)


def _decide(runs: Sequence[TargetRun], engine: Engine, decided: dict[int, Decided]) -> None:
    for run in runs:
        run.bench.run_by(engine)
        decided[id(run)] = run.run()
