"""The counting loop: a pair of marks around each counted inference, and empty ones before."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from edgeopt.agent import counting
from edgeopt.agent.counting import EMPTY, MARK, count_turns


class Log(list[str]):
    """What happened, in order; it is the C library whose system call marks, too."""

    def syscall(self, number: Any) -> int:
        assert number.value == MARK
        self.append("|")
        return -1

    def call(self, prepared: str) -> None:
        assert not gc.isenabled()
        self.append(prepared)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    made = Log()
    monkeypatch.setattr(counting.ctypes, "CDLL", lambda _name: made)
    yield made


def test_marks_stand_around_each_counted_inference_alone(log: Log) -> None:
    pairs = count_turns([(log, "xyz", 1, 2), (log, "u", 0, 1)], warm=2)
    assert pairs == EMPTY + 3
    assert "".join(log) == "||" * EMPTY + "yz" + "|y||z|" + "uu" + "|u|"
    assert gc.isenabled()


def test_a_failure_leaves_the_collector_on(log: Log) -> None:
    class Broken:
        def call(self, prepared: Any) -> None:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        count_turns([(Broken(), "x", 0, 1)], warm=0)
    assert gc.isenabled()


def test_a_mark_does_nothing_here() -> None:
    assert ctypes.CDLL(None).syscall(ctypes.c_long(MARK)) == -1, "no kernel has it"
    assert count_turns([], warm=3) == EMPTY
