"""The timing loop: which inferences are timed, in which order, and on which clock."""

from __future__ import annotations

import gc
import time
from typing import Any

import numpy as np
import pytest

from edgeopt.agent.timing import time_turns


class Session:
    """One that keeps what it was asked, and whether the collector was on."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.asked, self.collecting = seconds, list[Any](), False

    def call(self, prepared: Any) -> None:
        self.asked.append(prepared)
        self.collecting |= gc.isenabled()
        time.sleep(self.seconds)


def test_feeds_are_cycled_after_one_that_is_not_timed() -> None:
    a, b = Session(), Session()
    taken = time_turns([(a, "xyz", 2, 4), (b, "u", 0, 2), (a, "xyz", 0, 1)])
    assert "".join(a.asked) == "zzxyz" + "xx" and "".join(b.asked) == "uuu"
    assert taken.dtype == np.int64 and taken.shape == (7,) and (taken > 0).all()


def test_times_are_those_of_single_inferences() -> None:
    taken = time_turns([(Session(0.01), "x", 0, 3), (Session(), "x", 0, 3)])
    assert (taken[:3] >= 10_000_000).all() and np.median(taken[3:]) < 5_000_000


def test_the_collector_is_off_meanwhile_and_as_it_was_afterwards() -> None:
    session = Session()
    was = gc.isenabled()
    try:
        for on in (True, False):
            gc.enable() if on else gc.disable()
            time_turns([(session, "x", 0, 2)])
            assert gc.isenabled() is on
    finally:
        gc.enable() if was else gc.disable()
    assert not session.collecting


def test_a_failure_leaves_the_collector_on() -> None:
    class Broken(Session):
        def call(self, prepared: Any) -> None:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        time_turns([(Broken(), "x", 0, 2)])
    assert gc.isenabled()


def test_a_session_may_have_a_clock_of_its_own() -> None:
    class Own(Session):
        def timed(self, feeds: Any) -> list[int]:
            return [len(self.asked) + ord(feed) for feed in feeds]

    assert time_turns([(Own(), "ab", 0, 3)]).tolist() == [98, 99, 98]


def test_nothing_takes_no_time() -> None:
    assert time_turns([]).shape == (0,)
