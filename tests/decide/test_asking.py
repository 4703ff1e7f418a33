"""The machine under the selection: it waits, folds in order, and refuses what nobody asked for."""

from __future__ import annotations

from typing import Any

import pytest
import selection_parts as parts

from edgeopt.decide.asking import Asking
from edgeopt.decide.decision import Decision
from edgeopt.decide.events import (
    DeviceFailed,
    DeviceLost,
    NotRaced,
    Scored,
    SourceScored,
    WorkerLost,
)
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.steps import Done, Race, Score, Step
from edgeopt.schema.errors import DeviceError, EdgeoptError, UnreachableError, WorkerError

SOURCE = SourceScored("validation", parts.measurements({"accuracy": (0.9, 0.9, 0.9)}))
ERROR = {"what": "it broke"}


def score(id: str, split: str = "validation") -> Scored:
    return Scored(split, id, parts.measurements(parts.accurate(0)))


def race(first: str, protocol: str = "short") -> Race:
    return Race(first, "reference", protocol)


class Machine(Asking):
    """Scores a and b, then races what is given."""

    def __init__(self, state: str = "short", needless: tuple[Race, ...] = ()) -> None:
        super().__init__(Ledger(parts.entries_for(["reference", "a", "b"]), "reference"))
        self.racing, self.needless, self.ended = state, needless, list[str]()

    def start(self) -> list[Step]:
        return self._score(["a", "b"], "validation")

    def race(self, *races: Race) -> list[Step]:
        return self._race(self.racing, races)

    def _after(self, state: str) -> list[Step]:
        self.ended.append(state)
        return self._done(Decision("built", "done"))

    def _after_loss(self, error: EdgeoptError) -> Decision:
        return Decision("inconclusive", f"not tested: {error.what}")

    def _is_needless(self, race: Race) -> bool:
        return race in self.needless


def test_all_scores_are_awaited_and_folded_in_the_order_in_which_they_were_asked_for() -> None:
    machine, folded = Machine(), []
    fold = machine.ledger.fold
    machine.ledger.fold = lambda event: (folded.append(event), fold(event))[1]  # type: ignore
    assert machine.start() == [Score(("a", "b"), "validation")]
    events: list[Any] = [score("b"), SOURCE, score("a")]
    assert machine.tell(events[0]) == machine.tell(events[1]) == [] and not folded
    assert isinstance(machine.tell(events[2])[0], Done)
    assert folded == [SOURCE, score("a"), score("b")] and machine.ended == ["scoring"]


@pytest.mark.parametrize("event", [score("c"), score("a", "test"), NotRaced(race("a"), ERROR)])
def test_what_nobody_asked_for_is_refused(event: Any) -> None:
    machine = Machine()
    machine.start()
    with pytest.raises(ValueError, match="was asked for"):
        machine.tell(event)


def test_nothing_counts_twice_nor_before_or_after() -> None:
    machine = Machine()
    with pytest.raises(ValueError, match="nothing was asked for: the selection is new"):
        machine.tell(SOURCE)
    machine.start()
    machine.tell(SOURCE)
    with pytest.raises(ValueError, match="no score of source on validation was asked for"):
        machine.tell(SOURCE)
    machine.tell(score("a"))
    machine.tell(score("b"))
    with pytest.raises(ValueError, match="the selection is done"):
        machine.tell(score("b"))


def test_races_are_asked_for_one_at_a_time() -> None:
    machine = Machine()
    assert machine.race(race("a"), race("b")) == [race("a")]
    with pytest.raises(ValueError, match="no such race was asked for"):
        machine.tell(NotRaced(race("b"), ERROR))
    assert machine.tell(NotRaced(race("a"), ERROR)) == [race("b")]
    assert isinstance(machine.tell(NotRaced(race("b"), ERROR))[0], Done)
    assert machine.ledger["a"].error == machine.ledger["b"].error == ERROR


def test_races_whose_outcome_is_known_are_left_out() -> None:
    machine = Machine(needless=(race("a"),))
    assert machine.race(race("a"), race("b")) == [race("b")]
    assert isinstance(Machine(needless=(race("a"),)).race(race("a"))[0], Done)


@pytest.mark.parametrize(
    ("state", "goes_on"), [("short", False), ("round", False), ("final", True)]
)
def test_past_the_time_limit_only_races_that_prove_the_choice_are_run(
    state: str, goes_on: bool
) -> None:
    machine = Machine(state)
    machine.race(race("a"), race("b"))
    (step,) = machine.tell(NotRaced(race("a"), ERROR), late=True)
    assert (step == race("b")) is goes_on


@pytest.mark.parametrize(
    ("event", "verdict"),
    [
        (DeviceLost(UnreachableError("gone", where="board")), "unreachable"),
        (DeviceFailed(DeviceError("it\nbroke")), "failed"),
    ],
)
def test_a_device_that_is_gone_ends_it(event: Any, verdict: str) -> None:
    machine = Machine()
    machine.race(race("a"))
    (step,) = machine.tell(event)
    assert isinstance(step, Done) and step.decision.verdict == verdict
    assert machine.state == "done" and "\n" not in step.decision.sentence


LOSSES = [
    WorkerLost(WorkerError("killed")),
    DeviceFailed(DeviceError("killed")),
    DeviceLost(UnreachableError("killed", where="board")),
]


@pytest.mark.parametrize("event", LOSSES)
def test_what_is_lost_while_a_winner_is_tested_is_no_loss_of_the_choice(event: Any) -> None:
    machine = Machine()
    machine._score(["a"], "test")
    (step,) = machine.tell(event)
    assert isinstance(step, Done) and step.decision.verdict == "inconclusive"
    assert step.decision.error is None and not machine.ended


def test_a_worker_lost_while_nothing_is_tested_was_not_asked_for() -> None:
    machine = Machine()
    machine.start()
    with pytest.raises(ValueError, match="no worker tests a winner"):
        machine.tell(LOSSES[0])
