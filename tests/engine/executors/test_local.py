"""Lanes of this machine: scores and races in the parent, beside agents."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeopt.engine import Engine
from edgeopt.schema.errors import DeviceError
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job, Outcome, Request
from edgeopt.store import Store
from edgeopt.transport.lock import bench_lock

MakeEngine = Callable[..., Engine]


MakeJob = Callable[..., Job]


def bench_job(make_job: MakeJob, id: str, kind: str = "score", *parents: str, **more: Any) -> Job:
    return make_job(id, "onnxruntime", *parents, kind=kind, worker="bench", **more)


def test_scores_run_in_the_parent_and_are_kept(
    make_engine: MakeEngine, make_job: MakeJob, events: list[Event], store: Store
) -> None:
    asked: list[Request] = []

    def bench(
        request: Request, progress: Callable[..., None], cancelled: threading.Event
    ) -> tuple[str, dict[str, Any]]:
        asked.append(request)
        progress(1, 2, ms=0.5)
        assert Path(request.workdir).is_dir() and request.store == str(store.root)
        return "ab" * 32, {"n": 4}

    engine = make_engine(bench=bench, on_event=events.append)
    jobs = [make_job("model"), bench_job(make_job, "score", "score", "model")]
    outcome = engine.run(jobs, {})["score"]
    assert (outcome.status, outcome.digest, outcome.value) == ("ok", "ab" * 32, {"n": 4})
    assert asked[0].inputs["input 0"].ok
    assert [e.data for e in events if e.what == "progress"] == [{"ms": 0.5}]
    assert engine.run(jobs, {})["score"].cached
    assert len(asked) == 1


def test_a_race_has_the_machine_for_itself_and_is_never_kept(
    make_engine: MakeEngine, make_job: MakeJob, events: list[Event]
) -> None:
    def bench(
        request: Request, progress: Callable[..., None], cancelled: threading.Event
    ) -> tuple[str, dict[str, Any]]:
        time.sleep(0.05)
        return "", {"kind": request.job.kind}

    engine = make_engine(bench=bench, on_event=events.append, slots=4)
    jobs = [
        bench_job(make_job, "race 1", "race", cache=False),
        make_job("pass", params={"steps": 3}),
        bench_job(make_job, "race 2", "race", cache=False),
        bench_job(make_job, "score"),
        make_job("other", worker="torch"),
    ]
    for _ in range(2):
        events.clear()
        outcomes = engine.run(jobs, {})
        assert all(outcome.ok for outcome in outcomes.values())
        assert not outcomes["race 1"].cached and not outcomes["race 2"].cached
        running: set[str] = set()
        for event in events:
            if event.what == "start":
                running.add(event.job)
            elif event.what == "end":
                running.discard(event.job)
            assert len(running) <= 1 or not any(id.startswith("race") for id in running)


def test_a_bench_that_fails_or_falls_over_is_an_outcome(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    def bench(
        request: Request, progress: Callable[..., None], cancelled: threading.Event
    ) -> tuple[str, dict[str, Any]]:
        if request.job.id == "unreachable":
            raise DeviceError("no such device", hint="plug it in")
        raise KeyError("surprise")

    jobs = [bench_job(make_job, id) for id in ("unreachable", "surprise")]
    outcomes = make_engine(bench=bench).run(jobs, {})
    assert outcomes["unreachable"].error == {
        "type": "DeviceError",
        "what": "no such device",
        "where": "unreachable",
        "hint": "plug it in",
    }
    assert "KeyError: 'surprise'" in str(outcomes["surprise"].error)


def test_a_bench_past_its_limit_is_cancelled(make_engine: MakeEngine, make_job: MakeJob) -> None:
    def bench(
        request: Request, progress: Callable[..., None], cancelled: threading.Event
    ) -> tuple[str, dict[str, Any]]:
        assert cancelled.wait(60)
        raise DeviceError("cancelled")

    outcome = make_engine(bench=bench).run([bench_job(make_job, "slow", time_s=0.2)], {})["slow"]
    assert outcome.status == "timeout"
    assert "ran longer than its limit of 0.2 s" in str(outcome.error)


def test_nothing_works_while_somebody_times(
    make_engine: MakeEngine, make_job: MakeJob, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    ended: list[dict[str, Outcome]] = []
    told = threading.Event()
    engine = make_engine(on_event=lambda e: told.set() if "waiting" in e.text else None)
    jobs = [make_job("a", where={"trace": str(trace)})]
    with bench_lock(exclusive=True):
        runner = threading.Thread(target=lambda: ended.append(engine.run(jobs, {})))
        runner.start()
        assert told.wait(60), "a run that waits for another says so"
        assert runner.is_alive() and not trace.exists()
    runner.join()
    assert ended[0]["a"].ok and trace.exists()


def test_closing_cancels_a_bench_that_runs(make_engine: MakeEngine, make_job: MakeJob) -> None:
    ended = threading.Event()

    def bench(
        request: Request, progress: Callable[..., None], cancelled: threading.Event
    ) -> tuple[str, dict[str, Any]]:
        progress(0)
        cancelled.wait(60)
        ended.set()
        raise DeviceError("cancelled")

    def interrupt(event: Event) -> None:
        if event.what == "progress":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_engine(bench=bench, on_event=interrupt).run([bench_job(make_job, "score")], {})
    assert ended.is_set()
