"""From what jobs made to entries: equal files are one, and what failed says why."""

from __future__ import annotations

import pytest

from edgeopt.pipeline.entries import entries_of
from edgeopt.pipeline.work import Work
from edgeopt.schema.job import Outcome
from edgeopt.schema.plan import Plan

SIMPLE = "simplify-onnx"


def failed(job: str, what: str) -> Outcome:
    return Outcome(job=job, status="failed", error={"type": "PassError", "what": what})


def test_each_candidate_is_an_entry_with_what_was_read_from_its_file(
    work: Work, plan: Plan
) -> None:
    entries, reference, notes = entries_of(plan, work.known.groups[0], work.outcomes)
    assert [entry.id for entry in entries] == [c.id for c in plan.candidates]
    assert reference == "local/onnxruntime#source" and not notes
    for entry in entries:
        assert entry.artifact is not None and entry.error is None
        assert entry.artifact.digest == work.outcomes[entry.plan.job].digest
        assert entry.described.facts == entry.plan.description.facts
    assert "int8" in entries[2].described.facts


def test_equal_files_are_one_entry_that_stands_for_both(work: Work, plan: Plan) -> None:
    work.outcomes[SIMPLE] = work.outcomes[plan.candidates[0].job].model_copy(update={"job": SIMPLE})
    entries, reference, notes = entries_of(plan, work.known.groups[0], work.outcomes)
    assert [entry.plan.label for entry in entries] == ["source", plan.candidates[2].label]
    assert entries[0].id == reference and entries[0].plan.reference
    assert entries[0].plan.eligible, "the other could be chosen"
    assert notes == ["simplify-onnx gave the same file as source"]


def test_a_reference_that_comes_second_is_found_in_the_first(work: Work, plan: Plan) -> None:
    work.outcomes[SIMPLE] = work.outcomes[plan.candidates[0].job].model_copy(update={"job": SIMPLE})
    turned = plan.model_copy(update={"candidates": (plan.candidates[1], plan.candidates[0])})
    (entry,), reference, _ = entries_of(turned, work.known.groups[0], work.outcomes)
    assert entry.id == reference == plan.candidates[1].id
    assert entry.plan.reference and entry.plan.eligible


@pytest.mark.parametrize("place", [SIMPLE, f"check:{SIMPLE}"])
def test_what_failed_or_broke_its_promise_has_no_artifact(
    work: Work, plan: Plan, place: str
) -> None:
    work.outcomes[place] = failed(place, "it went wrong")
    entries, _, _ = entries_of(plan, work.known.groups[0], work.outcomes)
    assert entries[1].artifact is None and entries[1].error is not None
    assert entries[1].error["what"] == "it went wrong"
    assert entries[1].described == plan.candidates[1].description, "as planned"
    assert entries[0].error is None


def test_candidates_of_other_targets_are_none_of_this_one(work: Work, plan: Plan) -> None:
    other = plan.candidates[1].model_copy(update={"group": "local/litert", "id": "another"})
    more = plan.model_copy(update={"candidates": (*plan.candidates, other)})
    entries, _, _ = entries_of(more, work.known.groups[0], work.outcomes)
    assert "another" not in {entry.id for entry in entries}
