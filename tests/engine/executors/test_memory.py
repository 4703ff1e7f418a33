"""A bound on the memory of all processes, with real workers that hold what they are told to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from edgeopt.engine import Engine
from edgeopt.engine.executors.memory import held_together
from edgeopt.recipe.nouns import LimitSpec
from edgeopt.schema.job import Job

MB = 1 << 20
MakeEngine, MakeJob = Callable[..., Engine], Callable[..., Job]


def most_held(over: threading.Event, found: list[int]) -> None:
    while not over.wait(0.05):
        found.append(held_together())


def test_two_that_do_not_fit_together_run_one_after_the_other(
    make_engine: MakeEngine, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two thirds of the bound may be less than the process of the tests holds: none would start.
    monkeypatch.setattr("edgeopt.engine.executors.memory.ROOM", 1.0)
    where = {"mb": 250, "s": 2, "trace": str(tmp_path / "trace")}
    jobs = [make_job("a", "hold", where=where), make_job("b", "hold", where=where, worker="torch")]
    extra, over, found = 450 * MB, threading.Event(), [0]
    before = held_together()
    watch = threading.Thread(target=most_held, args=(over, found))
    watch.start()
    outcomes = make_engine(memory=before + extra, slots=2).run(jobs, {})
    over.set()
    watch.join()
    assert [outcomes[id].status for id in "ab"] == ["ok", "ok"]
    started = [line.split()[0] for line in Path(where["trace"]).read_text().splitlines()]
    assert len(started) == 3 and set(started) == {"a", "b"}, "the one that was ended, again"
    assert max(found) < before + 2 * 250 * MB + extra / 2


def test_what_does_not_fit_by_itself_fails_and_says_how_much_there_is(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    jobs = [make_job("bad", "hog"), make_job("good", "echo", worker="torch")]
    outcomes = make_engine(memory=held_together() + 250 * MB, slots=2).run(jobs, {})
    assert [outcomes[id].status for id in ("bad", "good")] == ["memory", "ok"]
    assert "the limit is" in str(outcomes["bad"].error)
    assert "limits.memory" in str(outcomes["bad"].error)


def test_workers_that_run_nothing_make_room(make_engine: MakeEngine, make_job: MakeJob) -> None:
    keeps = make_job("keeps", "hold", where={"mb": 300, "s": 0, "kept": True})
    engine = make_engine(memory=held_together() + 450 * MB, slots=2)
    worker = psutil.Process(engine.run([keeps], {})["keeps"].value["pid"])
    needs = make_job("needs", "hold", where={"mb": 250, "s": 1}, worker="torch")
    assert engine.run([needs], {})["needs"].ok
    gone, alive = psutil.wait_procs([worker], timeout=20)
    assert gone or alive[0].status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("text", ["100 MB", "4", "lots", "0 GB", "4 TB"])
def test_a_bound_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write '800 MB'|less than a run takes"):
        LimitSpec(memory=text)
