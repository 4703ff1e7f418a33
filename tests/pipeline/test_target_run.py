"""A target's run: its bench is asked for what the selection wants, and its device may go away."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from selection_parts import REFERENCE, Given, candidate, entries_for, terms

from edgeopt.decide.ledger import Ledger
from edgeopt.decide.steps import Race, Score
from edgeopt.pipeline.target_run import TargetRun
from edgeopt.schema.errors import DeviceError, EdgeoptError, UnreachableError
from edgeopt.schema.event import Event

FIGURES = {"reference": REFERENCE, "good": candidate(0.5), "other": candidate(0.8)}


def run_of(
    heard: list[Event], *, error: EdgeoptError | None = None, deadline: float | None = None
) -> TargetRun:
    """A run on given figures; races fail by ``error``."""
    given = Given(FIGURES)

    def raced(race: Race, _first: Any, _second: Any) -> Any:
        if error is not None:
            raise error
        return given.raced(race)

    bench: Any = SimpleNamespace(
        score=lambda entries, split: given.scored(Score(tuple(e.id for e in entries), split)),
        race=raced,
        notes=["the source guesses"],
    )
    ledger = Ledger(entries_for(FIGURES), "reference")
    return TargetRun(bench, terms(), ledger, heard.append, deadline)


def test_it_goes_on_until_the_selection_is_done_and_listeners_hear_of_it() -> None:
    heard: list[Event] = []
    decision, standings = run_of(heard).run()
    assert decision.chosen == "good"
    assert standings.ledger["good"].raced == "final"
    assert [event.text for event in heard] == [
        "Scoring on the validation split",
        "the source guesses",
        "Racing 2 candidates against the reference",
        "Measuring the peak memory of 2 candidates",
        "Timing the winner afresh beside the reference",
    ]
    assert [event.total for event in heard if event.text.startswith("Racing")] == [2]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(UnreachableError("it went away"), "unreachable"), (DeviceError("no memory"), "failed")],
)
def test_a_device_that_fails_is_a_decision(error: DeviceError, verdict: str) -> None:
    decision, _ = run_of([], error=error).run()
    assert decision.verdict == verdict
    assert decision.error is (error if verdict == "unreachable" else None)


def test_what_stops_the_whole_run_is_raised() -> None:
    with pytest.raises(EdgeoptError, match="disk"):
        run_of([], error=EdgeoptError("the disk is full")).run()


def test_past_the_deadline_nothing_races() -> None:
    decision, standings = run_of([], deadline=time.monotonic() - 1).run()
    assert decision.verdict == "inconclusive" and "time ran out" in decision.sentence
    assert not standings.ledger["good"].raced


def test_without_a_bench_what_was_built_is_counted() -> None:
    decision, _ = run_of([]).built()
    assert decision.verdict == "built"
    assert decision.sentence == "2 candidates built and checked; nothing was measured"
