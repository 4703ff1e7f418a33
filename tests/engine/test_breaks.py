"""A long job lets races of other runs through: it stands still meanwhile, and then goes on."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeopt.engine import Engine
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job, Outcome
from edgeopt.transport.lock import bench_lock, timing_wanted

DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_race_does_not_wait_for_a_job_of_hours(
    make_engine: Callable[..., Engine], make_job: Callable[..., Job]
) -> None:
    steps: list[float] = []
    begun = threading.Event()

    def listen(event: Event) -> None:
        if event.what == "progress" and event.done:
            steps.append(event.done)
            begun.set()

    engine = make_engine(on_event=listen)
    outcomes: dict[str, Outcome] = {}
    job = make_job("train", params={"steps": 200}, time_s=DAY_S)
    running = threading.Thread(target=lambda: outcomes.update(engine.run([job], {})))
    running.start()
    assert begun.wait(60)
    with bench_lock(True):
        assert running.is_alive() and timing_wanted()
        threading.Event().wait(0.5)  # what was told before it stood still arrives
        before = len(steps)
        threading.Event().wait(1.0)
        assert len(steps) == before < 200, "it stands still"
    running.join(60)
    assert outcomes["train"].ok
    assert steps[-1] == 200 and not timing_wanted()


def test_a_paused_job_can_be_stopped(
    make_engine: Callable[..., Engine], make_job: Callable[..., Job]
) -> None:
    begun = threading.Event()
    engine = make_engine(on_event=lambda event: event.what == "progress" and begun.set())
    job = make_job("train", params={"steps": 2000}, time_s=DAY_S)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            engine.run([job], {})
        except Exception as error:
            failed.append(error)

    running = threading.Thread(target=run)
    running.start()
    assert begun.wait(60)
    with bench_lock(True):
        engine.close()
        running.join(30)
        assert not running.is_alive() and failed
