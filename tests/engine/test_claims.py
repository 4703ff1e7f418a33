"""Two engines on one store: what one works on, the other waits for and takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeopt.engine import Engine, claims
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job, Outcome
from edgeopt.store import Store

MakeEngine = Callable[..., Engine]
MakeJob = Callable[..., Job]
HOLDER = """
import sys
from pathlib import Path

from edgeopt.engine import Engine
from edgeopt.engine.executors.local import LocalExecutor
from edgeopt.schema.job import Job
from edgeopt.store import Store

root, worker, job = sys.argv[1:]
with Store(root) as store:
    executor = LocalExecutor(store, None, command=(sys.executable, "-P", worker))
    with Engine(store, on_event=lambda e: None, bench=None, executor=executor) as engine:
        engine.run([Job.model_validate_json(job)], {})
"""


def traced(job: MakeJob, tmp_path: Path, id: str, name: str = "echo", **fields: Any) -> Job:
    fields.setdefault("params", {"content": "x", "steps": 100})
    return job(id, name, where={"trace": str(tmp_path / "trace")}, **fields)


def computed(tmp_path: Path) -> list[str]:
    """Ids of jobs by whom they were computed."""
    path = tmp_path / "trace"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def beside(engine: Engine, jobs: list[Job]) -> tuple[threading.Thread, dict[str, Outcome]]:
    found: dict[str, Outcome] = {}
    thread = threading.Thread(target=lambda: found.update(engine.run(jobs, {})))
    thread.start()
    return thread, found


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def test_the_second_of_two_runs_takes_what_the_first_makes(
    make_engine: MakeEngine, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PATIENCE_S", 0.1)
    events: list[Event] = []
    thread, first = beside(make_engine(), [traced(make_job, tmp_path, "first")])
    until(lambda: computed(tmp_path))
    jobs = [
        traced(make_job, tmp_path, "second"),
        make_job("child", "echo", "second"),
        make_job("apart", params={"content": "other"}, worker="torch"),
    ]
    second = make_engine(on_event=events.append).run(jobs, {})
    thread.join(60)
    assert computed(tmp_path) == ["first"]
    assert first["first"].ok and not first["first"].cached
    assert second["second"].cached and second["second"].digest == first["first"].digest
    assert second["child"].ok and not second["child"].cached
    (note,) = [event for event in events if event.what == "note"]
    assert note.job == "second" and "waiting for another run of edgeopt (process " in note.text
    told = [(event.what, event.job) for event in events]
    assert told.index(("start", "apart")) < told.index(("end", "second")), "it waits for nobody"


def test_what_failed_in_another_run_is_tried(
    make_engine: MakeEngine, make_job: MakeJob, tmp_path: Path
) -> None:
    params = {"content": "y"}
    runs = []
    for id in ("first", "second"):
        runs.append(beside(make_engine(), [traced(make_job, tmp_path, id, "hang", params=params)]))
        until(lambda: computed(tmp_path))
        assert computed(tmp_path) == ["first"]
    for number in (1, 2):
        until(lambda: len(computed(tmp_path)) == number)  # noqa: B023 - called at once
        pid = (tmp_path / "trace").read_text().splitlines()[-1].split()[1]
        os.kill(int(pid), signal.SIGKILL)
    for thread, _ in runs:
        thread.join(60)
    assert computed(tmp_path) == ["first", "second"]
    assert runs[0][1]["first"].status == runs[1][1]["second"].status == "crashed"


def test_a_killed_run_holds_nobody_up(
    make_engine: MakeEngine, make_job: MakeJob, store: Store, tmp_path: Path
) -> None:
    worker = str(Path(__file__).with_name("odd_worker.py"))
    job = traced(make_job, tmp_path, "first", params={"content": "z", "steps": 250})
    command = [sys.executable, "-c", HOLDER, str(store.root), worker, job.model_dump_json()]
    with subprocess.Popen(command) as process:
        until(lambda: computed(tmp_path))
        thread, second = beside(make_engine(), [job])
        time.sleep(0.5)
        assert computed(tmp_path) == ["first"] and not second
        process.kill()
    until(lambda: len(computed(tmp_path)) == 2)
    thread.join(60)
    assert second["first"].ok and not second["first"].cached


def test_two_engines_that_want_each_others_jobs_both_end(
    make_engine: MakeEngine, make_job: MakeJob, tmp_path: Path
) -> None:
    def jobs(*ids: str) -> list[Job]:
        params = {id: {"content": id, "steps": 20} for id in ids}
        return [traced(make_job, tmp_path, id, params=params[id], worker=id) for id in ids]

    thread, first = beside(make_engine(slots=1), jobs("a", "b", "c"))
    second = make_engine(slots=1).run(jobs("c", "b", "a"), {})
    thread.join(60)
    assert sorted(computed(tmp_path)) == ["a", "b", "c"]
    assert all(outcome.ok for outcome in (*first.values(), *second.values()))
    assert sum(not outcome.cached for outcome in (*first.values(), *second.values())) == 3


def test_past_the_deadline_nobody_waits(
    make_engine: MakeEngine, make_job: MakeJob, tmp_path: Path
) -> None:
    thread, _ = beside(make_engine(), [traced(make_job, tmp_path, "first")])
    until(lambda: computed(tmp_path))
    late = make_engine(deadline=time.monotonic() + 0.3)
    outcome = late.run([traced(make_job, tmp_path, "second")], {})["second"]
    thread.join(60)
    assert outcome.status == "cancelled"
