"""Targets of this machine are decided one by one, those of each board beside them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from edgeopt.pipeline.selections import decide_all
from edgeopt.schema.errors import EdgeoptError
from edgeopt.schema.target import parse_target

WAIT_S = 30.0


class Engine:
    """One that is closed, and no more."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Run:
    """A target's run that does something and gives its target as the decision."""

    def __init__(self, target: str, log: list[str], do: Callable[[], None] = lambda: None) -> None:
        self.log, self.do, self.name = log, do, target
        self.engine: Any = None
        self.bench = SimpleNamespace(
            target=parse_target(target), run_by=self.run_by, score=self.score
        )

    def run_by(self, engine: Any) -> None:
        self.engine = engine

    def score(self, entries: list[Any], split: str) -> list[Any]:
        self.log.append(f"source on {split} by {self.name}")
        return entries

    def run(self) -> Any:
        self.do()
        self.log.append(self.name)
        return self.name


def decided(runs: list[Run], engine: Engine) -> tuple[list[Any], list[Engine]]:
    made: list[Engine] = []

    def another() -> Any:
        made.append(Engine())
        return made[-1]

    given: Any = runs
    own: Any = engine
    return decide_all(given, own, another), made


def test_decisions_come_in_the_order_of_the_targets() -> None:
    log: list[str] = []
    names = ["ssh:one/litert", "local/litert", "ssh:two/litert", "local/onnxruntime",
             "ssh:one/onnxruntime"]  # fmt: skip
    engine, runs = Engine(), [Run(name, log) for name in names]
    found, made = decided(runs, engine)
    assert found == names
    assert log[0] == "source on validation by local/litert", "for all of them, before any board"
    assert [name for name in log if "local" in name][1:] == ["local/litert", "local/onnxruntime"]
    assert [name for name in log if "one" in name] == ["ssh:one/litert", "ssh:one/onnxruntime"]
    assert runs[1].engine is runs[3].engine is engine and not engine.closed
    assert runs[0].engine is runs[4].engine is made[0] and runs[2].engine is made[1]
    assert [each.closed for each in made] == [True, True]


def test_a_board_is_decided_while_this_machine_is() -> None:
    log: list[str] = []
    there, here = threading.Event(), threading.Event()

    def meet(mine: threading.Event, other: threading.Event) -> Callable[[], None]:
        def met() -> None:
            mine.set()
            assert other.wait(WAIT_S), "they must run side by side"

        return met

    runs = [
        Run("local/litert", log, meet(here, there)),
        Run("ssh:board/litert", log, meet(there, here)),
    ]
    found, _ = decided(runs, Engine())
    assert found == ["local/litert", "ssh:board/litert"]


def test_one_board_alone_needs_no_thread_and_no_other_engine() -> None:
    log: list[str] = []
    run = Run("ssh:board/litert", log, lambda: log.append(threading.current_thread().name))
    found, made = decided([run], Engine())
    assert (found, made, log) == (["ssh:board/litert"], [], ["MainThread", "ssh:board/litert"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EdgeoptError("the disk is full"), "the disk is full"),
        (ZeroDivisionError("oh"), "edgeopt-ssh:board: ZeroDivisionError: oh"),
    ],
)
def test_what_stops_a_board_is_raised_after_all_have_ended(error: Exception, said: str) -> None:
    log: list[str] = []

    def fail() -> None:
        raise error

    runs = [Run("local/litert", log), Run("ssh:board/litert", log, fail)]
    with pytest.raises(EdgeoptError) as caught:
        decided(runs, Engine())
    assert str(caught.value) == said
    assert log[-1] == "local/litert"


def test_an_error_here_closes_the_engines_of_the_boards() -> None:
    log: list[str] = []

    def fail() -> None:
        raise EdgeoptError("it stops here")

    made: list[Engine] = []

    def another() -> Any:
        made.append(Engine())
        return made[-1]

    runs: Any = [Run("local/litert", log, fail), Run("ssh:board/litert", log)]
    own: Any = Engine()
    with pytest.raises(EdgeoptError, match="it stops here"):
        decide_all(runs, own, another)
    assert [each.closed for each in made] == [True]
