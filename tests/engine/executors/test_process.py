"""Workers that crash, hang, outgrow their limit or are killed: one job lost, no child left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from edgeopt.engine import Engine
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job, Limits, Outcome
from edgeopt.store import Store

MakeEngine = Callable[..., Engine]
MakeJob = Callable[..., Job]

RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import ODD_WORKER, no_bench
from edgeopt.engine import Engine
from edgeopt.engine.executors.local import LocalExecutor
from edgeopt.schema.job import Job
from edgeopt.store import Store

jobs = [
    Job(id=f"{worker} {n}", kind="pass", name="echo", worker=worker,
        params={"steps": 4, "content": f"{worker} {n}"},
        inputs={"parent": f"{worker} {n - 1}"} if n else {})
    for worker in ("onnx", "torch") for n in range(4)
]
hang = [Job(id="hang", kind="pass", name=sys.argv[4], where={"child": sys.argv[3]})]
store = Store(sys.argv[1])
executor = LocalExecutor(store, no_bench, command=ODD_WORKER)
print("ready", flush=True)
try:
    with Engine(store, on_event=lambda event: None, bench=no_bench, executor=executor) as engine:
        done = engine.run(jobs + (hang if sys.argv[3] else []), {})
    print(sorted((o.job, o.digest) for o in done.values()))
except KeyboardInterrupt:
    sys.exit(130)
"""


def gone(pids: list[int]) -> bool:
    """Whether all these processes end, within a patient wait."""
    processes = []
    for pid in pids:
        try:
            processes.append(psutil.Process(pid))
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, timeout=20)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vanish", "ended with exit status 7"),
        ("segfault", "was killed by SIGSEGV"),
        ("killed", "was killed by SIGKILL"),
    ],
)
def test_a_crash_loses_one_job_and_quotes_the_last_words(
    make_engine: MakeEngine, make_job: MakeJob, store: Store, name: str, said: str
) -> None:
    jobs = [
        make_job("before"),
        make_job("bad", name, "before"),
        make_job("child", "echo", "bad"),
        make_job("after", needs=("before",)),
    ]
    outcomes = make_engine().run(jobs, {})
    bad = outcomes["bad"]
    assert bad.status == "crashed" and bad.error is not None
    assert bad.error["type"] == "WorkerError"
    assert f"the worker 'onnx' that ran {name} {said}" in bad.error["what"]
    if name == "segfault":
        assert "about to read address 0" in bad.error["hint"]
        assert "printed by before" not in bad.error["hint"]
    assert outcomes["child"].status == "skipped"
    assert outcomes["after"].ok
    assert outcomes["after"].value["pid"] != outcomes["before"].value["pid"]
    assert {entry.job for entry in store.ls().entries} == {"before", "after"}


@pytest.mark.parametrize(
    ("name", "said"),
    [("stumble", "stumble failed: IndexError: list index out of range"), ("leave", "SystemExit")],
)
def test_what_foreign_code_raises_costs_no_worker(
    make_engine: MakeEngine, make_job: MakeJob, name: str, said: str
) -> None:
    engine = make_engine()
    before, bad, after = (
        engine.run([job], {})[job.id]
        for job in (make_job("before"), make_job("bad", name), make_job("after"))
    )
    assert bad.status == "failed" and bad.error is not None
    assert bad.error["type"] == "PassError" and said in bad.error["what"]
    assert "odd_worker.py:" in bad.error["hint"]
    assert before.value["pid"] == after.value["pid"]


def test_a_worker_killed_from_outside_is_replaced(
    make_engine: MakeEngine, make_job: MakeJob, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    jobs = [make_job("bad", "hang", where={"trace": str(trace)}), make_job("good")]

    def kill() -> None:
        while not (trace.exists() and trace.read_text().endswith("\n")):
            time.sleep(0.01)
        os.kill(int(trace.read_text().split()[1]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcomes = make_engine().run(jobs, {})
    killer.join()
    assert [outcomes[id].status for id in ("bad", "good")] == ["crashed", "ok"]
    assert "SIGKILL" in str(outcomes["bad"].error)


def test_a_worker_killed_while_idle_is_replaced_unnoticed(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    engine = make_engine()
    first = engine.run([make_job("a")], {})["a"]
    os.kill(first.value["pid"], signal.SIGKILL)
    assert gone([first.value["pid"]])
    assert engine.run([make_job("b")], {})["b"].ok


def test_a_hang_is_ended_with_all_it_started(
    make_engine: MakeEngine, make_job: MakeJob, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    jobs = [
        make_job("bad", "spawn-and-hang", where={"child": str(child)}, time_s=3),
        make_job("good"),
    ]
    outcomes = make_engine().run(jobs, {})
    assert [outcomes[id].status for id in ("bad", "good")] == ["timeout", "ok"]
    assert "ran longer than its limit of 3 s" in str(outcomes["bad"].error)
    assert gone([int(child.read_text())])


def test_a_memory_hog_is_ended(make_engine: MakeEngine, make_job: MakeJob) -> None:
    limits = Limits(memory_bytes=300_000_000)
    jobs = [make_job("bad", "hog", limits=limits), make_job("good", limits=limits)]
    outcomes = make_engine().run(jobs, {})
    assert [outcomes[id].status for id in ("bad", "good")] == ["memory", "ok"]
    assert "more than its limit of 300 MB" in str(outcomes["bad"].error)


def test_a_worker_short_of_memory_is_replaced(make_engine: MakeEngine, make_job: MakeJob) -> None:
    engine = make_engine()
    jobs = [make_job("before"), make_job("bad", "starve", needs=("before",))]
    first = engine.run([*jobs, make_job("after", needs=("before",))], {})
    assert first["bad"].status == "memory"
    assert first["after"].ok and first["after"].value["pid"] != first["before"].value["pid"]


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        ("pass", "crashed", "ended with exit status 0"),
        ("import time; time.sleep(600)", "timeout", "longer than its limit"),  # never reads
        ('print(\'{"outcome": {"job": 3}}\')', "crashed", "gave no valid outcome"),
        ("import os, time; os.close(1); time.sleep(600)", "crashed", "closed its output"),
        ("print('no json'); print('[1]'); raise SystemExit(1)", "crashed", "no json\n[1]"),
    ],
)
def test_a_worker_that_breaks_the_protocol_loses_the_job(
    make_engine: MakeEngine, make_job: MakeJob, program: str, status: str, said: str
) -> None:
    engine = make_engine(command=(sys.executable, "-c", program))
    job = make_job("a", params={"large": "x" * 300_000}, time_s=2)
    outcome = engine.run([job], {})["a"]
    assert outcome.status == status and outcome.error is not None
    assert said in outcome.error["what"] + outcome.error["hint"]


def test_a_worker_that_cannot_start_fails_the_job(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    outcome = make_engine(command=("/nowhere/python",)).run([make_job("a")], {})["a"]
    assert outcome.status == "failed"
    assert "cannot start a worker" in str(outcome.error)


def test_an_interrupt_leaves_no_child_and_nothing_rough(
    make_engine: MakeEngine, make_job: MakeJob, tmp_path: Path, store: Store
) -> None:
    pids: list[int] = []

    def interrupt(event: Event) -> None:
        if event.what == "progress":
            pids.extend(p.pid for p in psutil.Process().children(recursive=True))
            raise KeyboardInterrupt

    engine = make_engine(on_event=interrupt)
    with pytest.raises(KeyboardInterrupt):
        engine.run([make_job("a", params={"steps": 1000})], {})
    assert pids and gone(pids)
    assert store.ls().entries == () and store.verify().ok
    assert list((store.root / "tmp").glob("*/*")) == []


def start(root: Path, child: str = "", hang: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(root), str(Path(__file__).parents[1]), child, hang],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_ctrl_c_at_any_moment_leaves_no_child_and_the_rerun_ends_the_same(
    tmp_path: Path,
) -> None:
    whole, _ = start(tmp_path / "whole").communicate()
    pick = random.Random(1)
    for _ in range(6):
        with start(tmp_path / "store") as process:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            time.sleep(pick.uniform(0, 1.2))
            pids = [p.pid for p in psutil.Process(process.pid).children(recursive=True)]
            os.kill(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        assert process.returncode in (0, 130, -signal.SIGINT), errors
        assert gone(pids)
        with Store(tmp_path / "store") as store:
            assert store.verify().ok
            assert len(list((store.root / "tmp").iterdir())) == 1  # this Store's own
    again, _ = start(tmp_path / "store").communicate()
    assert again == whole


@pytest.mark.parametrize("hang", ["hold-gil", "spawn-and-hang"])
def test_no_worker_outlives_a_parent_that_is_killed(tmp_path: Path, hang: str) -> None:
    child = tmp_path / "child"
    with start(tmp_path / "store", str(child), hang) as process:
        while not (child.exists() and child.read_text()):
            assert process.poll() is None
            time.sleep(0.02)
        workers = psutil.Process(process.pid).children()
        process.kill()
        process.communicate()
    assert workers and gone([worker.pid for worker in workers])
    if hang == "spawn-and-hang":  # that one is the worker's last act, if it comes to that
        with suppress(ProcessLookupError):
            os.kill(int(child.read_text()), signal.SIGKILL)
    with Store(tmp_path / "store") as store:
        assert store.verify().ok


def test_an_outcome_for_another_job_is_not_taken(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    stray = Outcome(job="other", status="ok", digest="0" * 64)
    program = f"print('{{\"outcome\": %s}}' % {stray.model_dump_json()!r})"
    outcome = make_engine(command=(sys.executable, "-c", program)).run([make_job("a")], {})["a"]
    assert outcome.status == "crashed"
