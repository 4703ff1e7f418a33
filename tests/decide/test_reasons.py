"""The status of every candidate and its reason, as a driven selection leaves them."""

from __future__ import annotations

from typing import Any

import pytest
from selection_parts import REFERENCE, Play, accurate, candidate, fast

from edgeopt.decide.decision import Decision
from edgeopt.decide.reasons import UNMEASURED


def played(**figures: Any) -> tuple[Play, Decision]:
    play = Play({"reference": REFERENCE, **figures})
    return play, play.run()


def test_each_status_has_its_reason() -> None:
    play, decision = played(
        best=candidate(0.4, short=fast(0.4, 0.05)),
        second=candidate(0.41, short=fast(0.41, 0.05), **{"head-to-head": fast(1.25)}),
        third=candidate(0.6),
        slow=candidate(0.9),
        wrong=candidate(0.3, -9.0),
        unsure=candidate(0.3, -1.0),
        broken={},
    )
    told = {
        id: (play.status(id, decision), play.reason(id, decision)) for id in play.ledger.entries
    }
    assert {id: status for id, (status, _) in told.items()} == {
        "reference": "reference", "best": "chosen", "second": "lost", "third": "screened",
        "slow": "screened", "wrong": "infeasible", "unsure": "inconclusive", "broken": "failed",
    }  # fmt: skip
    assert told["best"][1].startswith("the best measured artifact by latency.p50")
    assert told["second"][1].startswith(
        "raced head to head it took 1.25x as long as the chosen (95% interval 1.24 to 1.26x)"
    )
    assert told["slow"][1].startswith("slower in short races: 2.25x (")
    assert told["slow"][1].endswith("the reference's, in 3 and 15 processes")
    assert told["wrong"][1].startswith("accuracy 81.00% is -9.00pt against source")
    assert told["broken"][1] == "broken: it broke"


def test_the_reference_tells_whose_race_its_time_is_of() -> None:
    play, decision = played(best=candidate(0.4))
    reason = play.reason("reference", decision)
    assert reason.startswith("the source converted, nothing else: the reference, which all others")
    assert reason.endswith("; its time is from its fresh race against best")


def test_a_winner_beside_one_that_ties_says_so_in_its_reason() -> None:
    level = candidate(0.4, **{"head-to-head": fast(1.0, 0.02)})
    figures = {"reference": REFERENCE, "a": level, "b": level}
    play = Play(figures, sizes={"a": 5, "b": 9, "reference": 99})
    decision = play.run()
    assert decision.chosen == "a"
    assert play.reason("a", decision).startswith("tied with b, and smaller")
    assert play.reason("b", decision).startswith("a tie with the chosen, which is smaller: raced")


def test_past_the_time_limit_what_was_not_raced_is_unmeasured() -> None:
    play = Play({"reference": REFERENCE, "a": candidate(0.4), "b": candidate(0.5)}, late=True)
    decision = play.run()
    assert play.status("b", decision) == "unmeasured"
    assert play.reason("b", decision) == "not raced: the time limit was reached"


@pytest.mark.parametrize("verdict", list(UNMEASURED))
def test_where_nothing_was_decided_nobody_lost(verdict: Any) -> None:
    play, _ = played(a=candidate(0.4), b={"validation": accurate(0), "short": fast(0.5)})
    decision = Decision(verdict, "")
    assert play.statuses(decision)["a"] == "unmeasured"
    assert play.reason("a", decision) == UNMEASURED[verdict]
