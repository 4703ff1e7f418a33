"""The schedule alone: pure, so that any graph and any order of endings can be tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.engine.schedule import Schedule, gives_way, lane_of
from edgeopt.schema.job import Job, Outcome


def job(id: str, *waits: str, kind: str = "pass", worker: str = "onnx", cache: bool = True) -> Job:
    return Job.model_validate(
        {
            "id": id,
            "kind": kind,
            "name": id,
            "worker": worker,
            "inputs": {str(i): name for i, name in enumerate(waits)},
            "cache": cache,
        }
    )


def ok(id: str) -> Outcome:
    return Outcome(job=id, status="ok", digest=f"digest of {id}")


def enqueue_all(schedule: Schedule) -> None:
    for released in schedule.released():
        schedule.enqueue(released, released.id)


def started(schedule: Schedule) -> list[str]:
    return [job.id for job, _ in schedule.start()]


def test_a_job_is_released_when_all_it_waits_for_has_ended() -> None:
    schedule = Schedule([job("c", "a", "b"), job("a"), job("b")], {}, slots=4)
    enqueue_all(schedule)
    assert started(schedule) == ["a"]  # b wants the same lane
    schedule.settle(ok("a"))
    assert schedule.released() == []
    assert started(schedule) == ["b"]
    schedule.settle(ok("b"))
    assert [j.id for j in schedule.released()] == ["c"]
    assert schedule.digests(schedule.job("c")) == {"0": "digest of a", "1": "digest of b"}


def test_inputs_may_be_known_from_earlier_runs() -> None:
    known = {"old": ok("old"), "bad": Outcome(job="bad", status="crashed"), "done": ok("done")}
    schedule = Schedule([job("a", "old"), job("b", "bad"), job("done")], known, slots=1)
    a, b = schedule.released()
    assert schedule.cause(a) is None
    assert schedule.cause(b) == known["bad"]
    assert schedule.outcomes == {"done": known["done"]}


def test_a_job_that_must_be_fresh_runs_though_known() -> None:
    schedule = Schedule([job("race", kind="race", cache=False)], {"race": ok("race")}, slots=1)
    enqueue_all(schedule)
    assert started(schedule) == ["race"]


def test_lanes_run_side_by_side_within_the_slots() -> None:
    jobs = [job(name, worker=name) for name in ("core", "onnx", "torch")]
    schedule = Schedule(jobs, {}, slots=2)
    enqueue_all(schedule)
    assert started(schedule) == ["core", "onnx"]
    assert started(schedule) == []
    schedule.settle(ok("onnx"))
    assert started(schedule) == ["torch"]


def test_a_race_runs_alone_after_all_else() -> None:
    race = job("race", kind="race", worker="bench", cache=False)
    jobs = [race, job("other race", kind="race", cache=False), job("a"), job("b", worker="torch")]
    schedule = Schedule(jobs, {}, slots=4)
    enqueue_all(schedule)
    assert started(schedule) == ["a", "b"]
    schedule.settle(ok("a"))
    assert started(schedule) == []
    schedule.settle(ok("b"))
    assert started(schedule) == ["race"]
    assert started(schedule) == []
    schedule.settle(ok("race"))
    assert started(schedule) == ["other race"]


def test_scores_and_races_share_the_lane_beside_an_agent() -> None:
    assert lane_of(job("s", kind="score", worker="core")) == "bench"
    assert lane_of(job("r", kind="race")) == "bench"
    assert lane_of(job("p")) == "onnx"


def test_scores_of_two_runtimes_here_run_side_by_side() -> None:
    jobs = [measured("first", "local", "score"), measured("second", "local", "score"),
            measured("litert", "local", "score", "litert"),
            measured("gpu", "local", "score", "onnxruntime:cuda"),
            measured("other gpu", "local", "score", "torch:cuda"),
            measured("race", "local")]  # fmt: skip
    schedule = Schedule(jobs, {}, slots=3)
    enqueue_all(schedule)
    assert started(schedule) == ["first", "litert", "gpu"]
    schedule.settle(ok("litert"))
    assert started(schedule) == [], "one at a time in a runtime, and on a GPU"
    for id, then in (("gpu", ["other gpu"]), ("first", ["second"]), ("other gpu", []),
                     ("second", ["race"])):  # fmt: skip
        schedule.settle(ok(id))
        assert started(schedule) == then


def test_jobs_of_one_key_run_once_unless_they_must_be_fresh() -> None:
    jobs = [job("a", worker="x"), job("b", worker="y"), job("c", worker="z", cache=False)]
    schedule = Schedule(jobs, {}, slots=4)
    for released in schedule.released():
        schedule.enqueue(released, "same key")
    assert started(schedule) == ["a", "c"]
    assert schedule.settle(ok("c")) == []
    assert [twin.id for twin in schedule.settle(ok("a"))] == ["b"]


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ([job("a"), job("a")], r"same id: \['a'\]"),
        ([job("a", "nobody")], "'a' waits for the unknown job 'nobody'"),
        ([job("a", "b"), job("b", "a")], "wait for each other: "),
    ],
)
def test_what_is_no_graph_is_refused(jobs: list[Job], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Schedule(jobs, {}, slots=1)


@st.composite
def graphs(draw: st.DrawFn) -> list[Job]:
    jobs: list[Job] = []
    for number in range(draw(st.integers(1, 12))):
        waits = draw(st.sets(st.sampled_from([j.id for j in jobs]))) if jobs else set()
        kind = draw(st.sampled_from(["pass", "pass", "score", "race"]))
        worker = draw(st.sampled_from(["core", "onnx", "torch"]))
        jobs.append(job(f"job{number}", *sorted(waits), kind=kind, worker=worker))
    return draw(st.permutations(jobs))


@given(jobs=graphs(), slots=st.integers(1, 4), data=st.data())
def test_every_graph_comes_to_its_end_within_the_rules(
    jobs: list[Job], slots: int, data: st.DataObject
) -> None:
    schedule = Schedule(jobs, {}, slots)
    while not schedule.over:
        enqueue_all(schedule)
        schedule.start()
        running = [schedule.job(id) for id in schedule.running]
        assert 0 < len(running) <= slots
        assert len({lane_of(j) for j in running}) == len(running)
        assert len(running) == 1 or not any(j.kind == "race" for j in running)
        for j in running:
            assert all(id in schedule.outcomes for id in j.inputs.values())
        schedule.settle(ok(data.draw(st.sampled_from(running)).id))
    assert set(schedule.outcomes) == {j.id for j in jobs}


def measured(id: str, device: str, kind: str = "race", runtime: str = "onnxruntime") -> Job:
    made = job(id, kind=kind, worker="bench", cache=False)
    return made.model_copy(update={"params": {"targets": {"a": f"{device}/{runtime}"}}})


def test_boards_work_beside_this_machine_one_job_each() -> None:
    jobs = [
        measured("here", "local"), measured("there", "ssh:one"), measured("next", "ssh:one"),
        measured("beside", "ssh:two", "score"), job("pass"),
    ]  # fmt: skip
    schedule = Schedule(jobs, {}, slots=1)
    enqueue_all(schedule)
    assert started(schedule) == ["there", "beside", "pass"], "boards take no slot"
    assert started(schedule) == []
    schedule.settle(ok("pass"))
    assert started(schedule) == ["here"], "a race here waits for nothing that runs elsewhere"
    schedule.settle(ok("there"))
    assert started(schedule) == ["next"]
    lanes = {lane_of(each) for each in jobs}
    assert lanes == {"bench", "bench ssh:one", "bench ssh:two", "onnx"}


@pytest.mark.parametrize(
    ("job", "waits"),
    [
        (job("source", kind="open"), False),
        (job("data:validation", kind="data"), False),
        (job("conversion", kind="analysis").model_copy(update={"name": "conversion"}), False),
        (job("prunable", kind="analysis").model_copy(update={"name": "prunable"}), True),
        (job("simplify-onnx"), True),
        (job("check:source", kind="check"), True),
        (measured("here", "local", "score"), True),
        (measured("there", "ssh:board", "score"), False),
        (measured("here", "local"), False),
    ],
    ids=lambda value: value.id if isinstance(value, Job) else "",
)
def test_what_only_reads_does_not_wait_for_another_runs_race(job: Job, waits: bool) -> None:
    assert gives_way(job) is waits


# -- jobs that become possible on the way


def test_jobs_that_come_later_wait_as_all_others_and_end_the_run() -> None:
    schedule = Schedule([job("a"), job("b", "a")], {"old": ok("old")}, slots=4)
    enqueue_all(schedule)
    assert started(schedule) == ["a"]
    schedule.settle(ok("a"))
    assert schedule.add([job("tensors", "old"), job("score", "b", "tensors")]) == 2
    assert [j.id for j in schedule.released()] == ["b", "tensors"], "the planned ones come first"
    for id in ("b", "tensors"):
        schedule.settle(ok(id))
    assert not schedule.over
    assert [j.id for j in schedule.released()] == ["score"]
    schedule.settle(ok("score"))
    assert schedule.over
    assert list(schedule.in_order()) == ["a", "b", "tensors", "score"]


def test_what_is_known_of_a_later_job_is_not_run_again() -> None:
    schedule = Schedule([job("a")], {"t": ok("t")}, slots=1)
    assert schedule.add([job("t"), job("s", "t")]) == 1
    assert [j.id for j in schedule.released()] == ["a", "s"]
    assert schedule.outcomes == {"t": ok("t")}


@pytest.mark.parametrize(
    ("later", "said"), [(job("a"), "same id"), (job("s", "nobody"), "unknown job 'nobody'")]
)
def test_a_later_job_that_fits_nowhere_is_refused(later: Job, said: str) -> None:
    schedule = Schedule([job("a")], {}, slots=1)
    with pytest.raises(ValueError, match=said):
        schedule.add([later])
