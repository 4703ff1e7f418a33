"""Jobs that score and race: what is in their keys, and what they wait for."""

from __future__ import annotations

import pytest
from plans import asked

from edgeopt.decide.entry import Entry
from edgeopt.decide.steps import Race
from edgeopt.pipeline.target_jobs import TargetJobs
from edgeopt.planner import make_plan
from edgeopt.schema.job import Job
from edgeopt.schema.target import TargetFacts

DIGESTS = {"model": "m", "samples:model": "s"}


def jobs_and_entries(**fields: object) -> tuple[TargetJobs, list[Entry]]:
    recipe, known = asked(["export-onnx", "simplify-onnx"], **fields)
    ((target, facts),) = known.groups[0].members
    plan = make_plan(recipe, known)
    return TargetJobs(recipe, known), [Entry(c, target, facts) for c in plan.candidates]


def test_the_source_is_scored_in_its_own_framework_on_the_host() -> None:
    jobs, _ = jobs_and_entries()
    job = jobs.source_score("validation")
    assert job.params["targets"] == {"model": "local/torch"}
    assert job.inputs == {"model": "open", "samples:model": jobs.source_tensors("validation").id}
    assert job.key == {"runtime_version": "1", "isa": "x86_64-avx2"} and not job.needs


def test_an_entry_is_scored_where_its_check_has_passed() -> None:
    jobs, (_, entry) = jobs_and_entries()
    job = jobs.score(entry, "validation")
    assert job.needs == ("check:export-onnx/simplify-onnx",)
    assert job.inputs["model"] == "export-onnx/simplify-onnx"
    assert job.inputs["samples:model"] == jobs.tensors(entry, "validation").id


@pytest.mark.parametrize(
    "changed",
    [
        {"isa": "aarch64-asimd"},
        {"runtime_version": "2"},
        {"machine": {"accelerator": "a GPU"}},
    ],
)
def test_what_an_answer_depends_on_enters_the_key(changed: dict[str, object]) -> None:
    jobs, (entry, _) = jobs_and_entries()
    before = jobs.score(entry, "validation")
    facts = TargetFacts.model_validate(entry.facts.model_dump() | changed)
    after = jobs.score(Entry(entry.plan, entry.target, facts), "validation")
    assert before.id == after.id and before.cache_key(DIGESTS) != after.cache_key(DIGESTS)
    idle = facts.model_copy(update={"cores": 99, "machine": {**facts.machine, "load": 0.1}})
    again = jobs.score(Entry(entry.plan, entry.target, idle), "validation")
    assert again.cache_key(DIGESTS) == after.cache_key(DIGESTS), "of a moment"


def test_the_key_holds_the_version_of_what_brings_a_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs, (entry, _) = jobs_and_entries()
    assert "code" not in jobs.score(entry, "validation").key
    monkeypatch.setattr("edgeopt.pipeline.target_jobs.brought_by", lambda _name: "mine")
    assert jobs.score(entry, "validation").key["code"] == "mine 1"
    assert jobs.source_score("validation").key["code"] == "mine 1"


def test_a_few_samples_are_another_job() -> None:
    jobs, (entry, _) = jobs_and_entries()
    few, whole = jobs.score(entry, "validation", first=8), jobs.score(entry, "validation")
    assert few.id == f"{whole.id} (first 8)" and few.params["first"] == 8


@pytest.mark.parametrize("allowed", [True, False])
def test_a_fallback_is_allowed_by_the_recipe_alone(allowed: bool) -> None:
    jobs, (first, second) = jobs_and_entries(allow_fallback=allowed)
    race = Race(first.id, second.id, "short")
    made: list[Job] = [
        jobs.source_score("validation"),
        jobs.score(first, "validation"),
        jobs.race(race, first, second),
    ]
    assert [job.params.get("allow_fallback", False) for job in made] == [allowed] * 3


def test_a_race_is_called_by_what_it_is_for() -> None:
    jobs, (first, second) = jobs_and_entries()
    job = jobs.race(Race(second.id, first.id, "full", "final"), second, first)
    assert job.id == f"race:final:{second.id} against {first.id}"
    assert (job.inputs["a"], job.inputs["b"]) == (second.plan.job, first.plan.job)
    assert job.params["protocol"] == "full"
    assert jobs.race(Race(second.id, first.id, "short"), second, first).id.startswith("race:short:")


def test_equal_samples_are_made_ready_once() -> None:
    jobs, entries = jobs_and_entries()
    made = jobs.all_tensors(entries, "validation")
    assert len(made) == 3 and len({job.id for job in made}) == 1
