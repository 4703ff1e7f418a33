"""Raw results of races are kept whole: what is read back is what was taken."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeopt.bench.agent_session import StateReply
from edgeopt.bench.runs import Pace, Run, Taken

TURNS = st.lists(st.lists(st.integers(1, 10**12), min_size=1, max_size=4), min_size=1, max_size=3)
STATES = st.none() | st.builds(
    StateReply, temperature_c=st.none() | st.floats(0, 90), frequency_mhz=st.none() | st.just(900.0)
)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    turns = {side: [np.array(turn, np.int64) for turn in draw(TURNS)] for side in "ab"}
    load = draw(st.none() | st.floats(0, 9))
    return Run("ab abba", turns, {"a": 5, "b": 7}, load, draw(STATES), draw(STATES))


@settings(deadline=None, max_examples=30)
@given(st.lists(runs(), max_size=3), st.lists(runs(), max_size=1))
def test_what_was_taken_comes_back_from_its_json(taken: list[Run], hot: list[Run]) -> None:
    pace = Pace(loops={"a": 2, "b": 3}, warm={"a": 4, "b": 5}, turns=12, turn_s=0.02)
    whole = Taken(taken, hot, pace, {"a": {"CPU": 3}}, ["contended"], {"a": "local/x", "b": "y"})
    kept = json.loads(json.dumps(whole.to_json("short")))
    again = Taken.from_json(kept)
    assert again.to_json("short") == kept and again.pace == pace
    for run, back in zip(taken, again.runs, strict=True):
        assert back.ratio(50.0) == run.ratio(50.0) and back.throttled == run.throttled
