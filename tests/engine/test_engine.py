"""The engine: outcomes, cache, events and limits, with real workers in real processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeopt.engine import Engine
from edgeopt.schema.errors import EdgeoptError, StoreError
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job, Outcome
from edgeopt.store import Store

MakeEngine = Callable[..., Engine]
MakeJob = Callable[..., Job]
NO_WORKER = ("/nowhere/no-such-program",)


def test_jobs_run_in_order_and_inputs_reach_them(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    jobs = [make_job("child", "echo", "a", "b"), make_job("a"), make_job("b")]
    outcomes = make_engine().run(jobs, {})
    assert list(outcomes) == ["child", "a", "b"]
    assert all(outcome.ok and not outcome.cached for outcome in outcomes.values())
    assert outcomes["child"].value["inputs"] == ["input 0", "input 1"]
    digests = {"input 0": outcomes["a"].digest, "input 1": outcomes["b"].digest}
    assert outcomes["child"].key == jobs[0].cache_key(digests)


def test_a_worker_stays_warm_for_its_lane_and_works_in_its_own_folder(
    make_engine: MakeEngine, make_job: MakeJob, store: Store
) -> None:
    engine = make_engine()
    first = engine.run([make_job("a"), make_job("t", worker="torch")], {})
    second = engine.run([make_job("b"), make_job("u", worker="torch")], {})
    assert first["a"].value["pid"] == second["b"].value["pid"] != first["t"].value["pid"]
    assert first["t"].value["pid"] == second["u"].value["pid"]
    folders = {Path(o.value["cwd"]) for o in (*first.values(), *second.values())}
    assert len(folders) == 4
    assert all(folder.is_relative_to(store.root / "tmp") for folder in folders)
    assert not any(folder.exists() for folder in folders)


def test_what_was_computed_is_not_computed_again(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    jobs = [make_job("a"), make_job("b", "echo", "a")]
    first = make_engine().run(jobs, {})
    second = make_engine(command=NO_WORKER).run(jobs, {})
    assert all(outcome.cached for outcome in second.values())
    for id, outcome in second.items():
        assert outcome.model_copy(update={"cached": False}) == first[id]


def test_the_same_digest_out_stops_the_rerun(make_engine: MakeEngine, make_job: MakeJob) -> None:
    engine = make_engine()
    child = make_job("child", "echo", "parent")
    engine.run([make_job("parent", params={"content": "same", "line": 1}), child], {})
    again = engine.run([make_job("parent", params={"content": "same", "line": 2}), child], {})
    assert not again["parent"].cached and again["child"].cached
    other = engine.run([make_job("parent", params={"content": "other", "line": 3}), child], {})
    assert not other["child"].cached


def test_key_parts_matter_and_places_do_not(make_engine: MakeEngine, make_job: MakeJob) -> None:
    engine = make_engine()
    engine.run([make_job("a", key={"seed": 0}, where={"folder": "here"})], {})
    moved = engine.run([make_job("a", key={"seed": 0}, where={"folder": "there"})], {})
    seeded = engine.run([make_job("a", key={"seed": 1}, where={"folder": "here"})], {})
    assert moved["a"].cached and not seeded["a"].cached


def test_jobs_of_one_key_are_computed_once(
    make_engine: MakeEngine, make_job: MakeJob, tmp_path: Path
) -> None:
    fields: dict[str, Any] = {"params": {"content": "x", "steps": 5}}
    fields["where"] = {"trace": str(tmp_path / "trace")}
    jobs = [make_job(id, "echo", worker=id, **fields) for id in ("one", "two", "three")]
    outcomes = make_engine(slots=3).run(jobs, {})
    assert [outcomes[job.id].cached for job in jobs] == [False, True, True]
    assert len({outcome.digest for outcome in outcomes.values()}) == 1
    assert len((tmp_path / "trace").read_text().splitlines()) == 1


def test_a_failure_skips_what_needs_it_and_names_the_first_cause(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    jobs = [
        make_job("bad", "refuse"),
        make_job("child", "echo", "bad"),
        make_job("grandchild", "echo", "child"),
        make_job("needs it", needs=("bad",)),
        make_job("good"),
    ]
    outcomes = make_engine().run(jobs, {})
    assert outcomes["good"].ok
    assert outcomes["bad"].error == {
        "type": "PassError",
        "what": "this model is not to its taste",
        "where": "bad",
        "hint": "",
    }
    for id in ("child", "grandchild", "needs it"):
        error = outcomes[id].error
        assert outcomes[id].status == "skipped" and error is not None
        assert error["what"] == "needs 'bad', which failed: this model is not to its taste"
        assert (error["type"], error["where"]) == ("PassError", id)


def test_failures_are_tried_again(make_engine: MakeEngine, make_job: MakeJob) -> None:
    engine = make_engine()
    for _ in range(2):
        outcome = engine.run([make_job("bad", "refuse")], {})["bad"]
        assert outcome.status == "failed" and not outcome.cached


def test_outcomes_known_from_earlier_runs_serve_as_inputs(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    engine = make_engine()
    known = engine.run([make_job("a"), make_job("bad", "stumble")], {})
    later = engine.run(
        [make_job("b", "echo", "a"), make_job("c", "echo", "bad"), make_job("a")], known
    )
    assert later["b"].ok and later["a"] == known["a"]
    assert later["c"].status == "skipped"


def test_events_tell_the_whole_story(
    make_engine: MakeEngine, make_job: MakeJob, events: list[Event]
) -> None:
    engine = make_engine(on_event=events.append)
    engine.run([make_job("a", params={"steps": 12})], {})
    plan, start, *progress, end = events
    assert (plan.what, plan.total) == ("plan", 1)
    assert (start.what, start.job, start.text) == ("start", "a", "echo")
    assert progress and {event.what for event in progress} == {"progress"}
    assert (progress[-1].done, progress[-1].total) == (12, 12)
    assert progress[-1].data == {"loss": pytest.approx(1 / 12)}
    assert (end.what, end.job, end.data["status"], end.data["cached"]) == ("end", "a", "ok", False)
    assert end.data["seconds"] > 0
    events.clear()
    engine.run([make_job("a", params={"steps": 12})], {})
    assert [(event.what, event.data.get("cached")) for event in events] == [
        ("plan", None),
        ("end", True),
    ]


def test_a_listener_cannot_fail_a_run(make_engine: MakeEngine, make_job: MakeJob) -> None:
    def fall_over(event: Event) -> None:
        raise RuntimeError("a listener fell over")

    assert make_engine(on_event=fall_over).run([make_job("a")], {})["a"].ok


def test_past_the_deadline_only_the_cache_answers(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    make_engine().run([make_job("kept")], {})
    engine = make_engine(deadline=time.monotonic() - 1, command=NO_WORKER)
    jobs = [make_job("kept"), make_job("new"), make_job("child", "echo", "new")]
    outcomes = engine.run(jobs, {})
    assert outcomes["kept"].cached
    assert [outcomes[id].status for id in ("new", "child")] == ["cancelled", "cancelled"]
    assert "time limit" in str(outcomes["new"].error)


def test_the_deadline_lets_what_runs_end(make_engine: MakeEngine, make_job: MakeJob) -> None:
    engine = make_engine(deadline=time.monotonic() + 0.3)
    jobs = [make_job("a", params={"steps": 40}), make_job("b", "echo", "a")]
    outcomes = engine.run(jobs, {})
    assert [outcomes[id].status for id in ("a", "b")] == ["ok", "cancelled"]


def test_a_full_store_stops_the_run(
    make_engine: MakeEngine, make_job: MakeJob, store: Store
) -> None:
    engine = make_engine()
    with pytest.raises(StoreError, match="no room left"):
        engine.run([make_job("bad", "fill-disk"), make_job("good")], {})
    with pytest.raises(EdgeoptError, match="closed"):
        engine.run([make_job("good")], {})
    assert store.ls().entries == ()


def test_outcomes_of_a_cut_record_are_computed_again(
    make_engine: MakeEngine, make_job: MakeJob, store: Store
) -> None:
    first: Outcome = make_engine().run([make_job("a")], {})["a"]
    blob = store.path(first.digest)
    blob.chmod(0o644)
    blob.write_bytes(b"rot")
    again = make_engine().run([make_job("a")], {})["a"]
    assert again.ok and not again.cached
    assert store.get_bytes(again.digest) == b"a"


def test_jobs_that_an_outcome_makes_possible_run_beside_the_others(
    make_engine: MakeEngine, make_job: MakeJob
) -> None:
    told: list[str] = []

    def further(outcome: Outcome) -> list[Job]:
        told.append(outcome.job)
        return [make_job("score", "echo", "a")] if outcome.job == "a" else []

    heard: list[Event] = []
    engine = make_engine(on_event=heard.append)
    outcomes = engine.run([make_job("a"), make_job("b", "echo", "a")], {}, further=further)
    assert list(outcomes) == ["a", "b", "score"] == sorted(told, key=list(outcomes).index)
    assert all(outcome.ok for outcome in outcomes.values())
    assert [event.total for event in heard if event.what == "plan"] == [2, 1]
    assert list(engine.run([make_job("c")], {})) == ["c"], "it is of one run"
