"""Scores that start beside builds: the very jobs that benches ask for, and none of what failed."""

from __future__ import annotations

from collections.abc import Mapping

from edgeopt.decide.entry import Entry
from edgeopt.pipeline.early import EarlyScores
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.work import Work
from edgeopt.schema.job import Job, Outcome
from edgeopt.schema.plan import Plan


def asked(work: Work, plan: Plan, ended: Mapping[str, Outcome]) -> dict[str, Job]:
    """The jobs that outcomes of a plan make possible, told in the plan's order."""
    early = EarlyScores(work, plan)
    jobs = [job for planned in plan.jobs for job in early(ended[planned.id])]
    assert len({job.id for job in jobs}) == len(jobs), "each once"
    return {job.id: job for job in jobs}


def before(work: Work, plan: Plan) -> Work:
    """The work as it was when nothing was built."""
    planned = {job.id for job in plan.jobs}
    kept = {id: outcome for id, outcome in work.outcomes.items() if id not in planned}
    return Work(work.recipe, work.known, work.engine, work.store, kept, work.on_event)


def test_they_are_what_a_bench_asks_for(
    work: Work, plan: Plan, bench: Bench, entries: list[Entry]
) -> None:
    early = asked(before(work, plan), plan, work.outcomes)
    later = {job.id: job for job in [bench.jobs.score(e, "validation") for e in entries]}
    source = bench.jobs.source_score("validation")
    assert {source.id: source} | later == {id: j for id, j in early.items() if j.kind == "score"}
    assert {id for job in early.values() for id in job.inputs.values()} <= (
        early.keys() | work.outcomes.keys()
    ), "their samples come with them"
    work.engine.run(plan.jobs, work.outcomes, further=EarlyScores(before(work, plan), plan))
    assert all(
        event.id in {e.id for e in entries} for event in bench.score(entries, "validation")[1:]
    )


def test_what_failed_or_whose_check_failed_is_not_scored(work: Work, plan: Plan) -> None:
    failed = plan.candidates[-1]
    bad = Outcome(job=failed.check, status="failed", error={"type": "PassError", "what": "no"})
    early = asked(before(work, plan), plan, {**work.outcomes, failed.check: bad})
    scored = {job.inputs["model"] for job in early.values() if job.kind == "score"}
    assert failed.job not in scored and scored


def test_a_run_scores_while_it_builds(work: Work, plan: Plan) -> None:
    own = before(work, plan)
    outcomes = work.engine.run(plan.jobs, own.outcomes, further=EarlyScores(own, plan))
    kinds = [work_kind.partition(":")[0] for work_kind in outcomes]
    assert kinds.count("score") == len({c.job for c in plan.candidates}), "the source is one"
    assert all(outcome.ok for outcome in outcomes.values())
