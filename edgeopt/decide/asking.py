"""A state machine that asks for scores and races, and goes on when their events have come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence

from edgeopt.decide.decision import Decision, one_line
from edgeopt.decide.events import (
    DeviceFailed,
    DeviceLost,
    Event,
    NotRaced,
    Raced,
    RaceEvent,
    ScoreEvent,
    SourceScored,
    WorkerLost,
)
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.steps import Done, Race, Score, Step
from edgeopt.schema.errors import EdgeoptError

SOURCE = "source"  # stands among the ids of what was scored
SKIPPED_WHEN_LATE = ("short", "short, alone", "round", "count", "count, alone")


class Asking(ABC):
    """A machine at one of its states: ``new``, a phase that waits for events, or ``done``.

    Scores of a phase are folded together in the order in which they were asked for, whichever
    came first. Races are asked for one at a time, for none may run beside another.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.state = "new"
        self._late = False  # whether the time limit was reached when last something was told
        self._split = "validation"
        self._unscored: list[str] = []  # what a scoring phase waits for
        self._scores: dict[str, ScoreEvent] = {}
        self._racing: Race | None = None  # what a racing phase waits for
        self._races: deque[Race] = deque()  # what comes after it in this phase

    @abstractmethod
    def _after(self, state: str) -> list[Step]:
        """What follows a phase all of whose events have come."""

    @abstractmethod
    def _after_loss(self, error: EdgeoptError) -> Decision:
        """What is decided where the test of the winner was lost."""

    @abstractmethod
    def _is_needless(self, race: Race) -> bool:
        """Whether what a race would show is known by now."""

    def tell(self, event: Event, *, late: bool = False) -> list[Step]:
        """What is to be done after an event; ``late``: the time limit is reached by now.

        Raises ValueError for an event that no step asked for.
        """
        if self.state in ("new", "done"):
            raise ValueError(f"nothing was asked for: the selection is {self.state}")
        self._late = self._late or late
        match event:
            case WorkerLost() | DeviceLost() | DeviceFailed() if self.state == "testing":
                return self._done(self._after_loss(event.error))
            case WorkerLost():
                raise ValueError(f"no worker tests a winner: the selection is {self.state}")
            case DeviceLost(error=error):
                return self._done(Decision("unreachable", str(error), error=error))
            case DeviceFailed(error=error):
                return self._done(Decision("failed", one_line(str(error))))
            case Raced() | NotRaced():
                return self._take_race(event)
            case _:
                return self._take_score(event)

    # -- scores

    def _score(self, ids: Sequence[str], split: str) -> list[Step]:
        self.state = "scoring" if split == "validation" else "testing"
        self._split, self._unscored, self._scores = split, [SOURCE, *ids], {}
        return [Score(tuple(ids), split)]

    def _take_score(self, event: ScoreEvent) -> list[Step]:
        id = SOURCE if isinstance(event, SourceScored) else event.id
        if event.split != self._split or id not in self._unscored or id in self._scores:
            raise ValueError(f"no score of {id} on {event.split} was asked for")
        self._scores[id] = event
        if len(self._scores) < len(self._unscored):
            return []
        for asked in self._unscored:
            self.ledger.fold(self._scores[asked])
        return self._after(self.state)

    # -- races

    def _race(self, state: str, races: Iterable[Race]) -> list[Step]:
        """Ask for races one after the other; after the last the state says what follows."""
        self.state, self._races = state, deque(races)
        return self._next_race()

    def _next_race(self) -> list[Step]:
        while self._races and not (self._late and self.state in SKIPPED_WHEN_LATE):
            race = self._races.popleft()
            if not self._is_needless(race):
                self._racing = race
                return [race]
        self._racing = None
        return self._after(self.state)

    def _take_race(self, event: RaceEvent) -> list[Step]:
        if self._racing is None or event.race != self._racing:
            raise ValueError(f"no such race was asked for: {event.race}")
        self.ledger.fold(event)
        return self._next_race()

    def _done(self, decision: Decision) -> list[Step]:
        self.state, self._racing = "done", None
        return [Done(decision)]

    def _check(self, state: str) -> None:
        if self.state != state:
            raise ValueError(f"the selection is {self.state}, not {state}")
