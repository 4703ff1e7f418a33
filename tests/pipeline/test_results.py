"""Parts of a result: what is told of a target, its candidates, the source and the data."""

from __future__ import annotations

import pytest

from edgeopt.bench.race import SCHEDULES
from edgeopt.decide.decision import Decision
from edgeopt.decide.elimination import MOST
from edgeopt.decide.entry import Entry
from edgeopt.pipeline.results import (
    data_facts,
    fell_back,
    job_lists,
    quick_note,
    slower,
    source_facts,
    target_result,
)
from edgeopt.pipeline.target_run import Decided, TargetRun, target_run
from edgeopt.pipeline.work import Work
from edgeopt.schema.job import Outcome
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.plan import Plan
from edgeopt.schema.result import CandidateResult, TargetResult


@pytest.mark.parametrize(
    ("low", "value", "high", "noted"),
    [(1.02, 1.1, 1.2, True), (0.98, 1.1, 1.2, False), (0.5, 0.6, 0.7, False)],
)
def test_a_choice_that_is_proven_slower_is_noted(
    low: float, value: float, high: float, noted: bool
) -> None:
    name = "ratio.latency.p50"
    ratio = Measurement(quantity=name, value=value, unit="x", low=low, high=high)
    chosen = CandidateResult(
        id="t#c", chain=(), label="c", status="chosen", reason="", measurements={name: ratio}
    )
    found = TargetResult(
        target="t", objective="size", machine={}, candidates=(chosen,), chosen="t#c",
        verdict="chosen", sentence="",
    )  # fmt: skip
    assert bool(slower(found)) is noted
    assert slower(found.model_copy(update={"chosen": None})) == ""


def test_jobs_are_listed_by_what_became_of_them() -> None:
    ended = [
        Outcome(job="b", status="ok"),
        Outcome(job="a", status="ok"),
        Outcome(job="c", status="ok", cached=True),
        Outcome(job="e", status="skipped"),
        Outcome(job="d", status="crashed", cached=True),
    ]
    found = job_lists(ended)
    assert (found.ran, found.cached, found.failed) == (("a", "b"), ("c",), ("d", "e"))


def test_counts_in_place_of_times_are_called_longer() -> None:
    name = "ratio.instructions"
    ratio = Measurement(quantity=name, value=1.5, unit="x")
    count = Measurement(quantity="instructions", value=9, unit="count")
    chosen = CandidateResult(
        id="t#c", chain=(), label="c", status="chosen", reason="",
        measurements={name: ratio, "instructions": count},
    )  # fmt: skip
    found = TargetResult(
        target="t", objective="size", machine={}, candidates=(chosen,), chosen="t#c",
        verdict="chosen", sentence="",
    )  # fmt: skip
    assert slower(found) == "on t the chosen artifact is longer than the reference: 1.50x its " \
        "instructions"  # fmt: skip


def test_figures_that_were_measured_elsewhere_are_noted() -> None:
    def candidate(id: str, *marks: str) -> CandidateResult:
        size = Measurement(quantity="latency.p50", value=1, unit="ms", marks=marks)
        return CandidateResult(
            id=id, chain=(), label=id, status="lost", reason="", measurements={"latency.p50": size},
            placement={"CUDA": 3, "CPU": 1},
        )  # fmt: skip

    found = TargetResult(
        target="local/onnxruntime:cuda", objective="size", machine={}, verdict="built", sentence="",
        candidates=(candidate("a"), candidate("b", "fallback"), candidate("c", "wide", "fallback")),
    )  # fmt: skip
    assert fell_back(found) == (
        "on local/onnxruntime:cuda nodes of 2 candidates ran on other providers, as allowed; "
        "those of 'b': 3 on CUDA, 1 on CPU"
    )
    assert fell_back(found.model_copy(update={"candidates": (candidate("a", "wide"),)})) == ""


@pytest.fixture
def run(work: Work, entries: list[Entry]) -> TargetRun:
    return target_run(work, work.known.groups[0], entries, entries[0].id, quick=True)


def test_a_target_that_was_built_is_told_with_every_pass(
    run: TargetRun, plan: Plan, work: Work
) -> None:
    told = target_result(run.bench, run.built(), plan, work.outcomes)
    assert (told.verdict, told.reference, told.chosen) == ("built", run.entries[0].id, None)
    source, simple, int8 = told.candidates
    assert (source.chain, source.reference, source.status) == ((), True, "unmeasured")
    assert [record.name for record in int8.chain] == ["simplify-onnx", "quantize-int8"]
    assert int8.chain[0] == simple.chain[0] and simple.chain[0].promise == "close"
    assert "; promised: within 1e-05 + 0.001 of" in simple.chain[0].check["sentence"]
    assert simple.artifact
    assert int8.chain[1].params["scheme"] == "s8s8" and int8.chain[1].promise == "approximate"
    assert int8.chain[1].artifact == int8.artifact.digest  # type: ignore[union-attr]
    assert told.machine["runtimes"] == {"onnxruntime": told.machine["runtime_version"]}
    assert told.inputs == told.outputs == () and told.slices == {}


def test_a_target_that_was_scored_says_where_answers_are_kept(
    run: TargetRun, plan: Plan, work: Work
) -> None:
    standings = run.scored()
    chosen = run.entries[1].id
    decision = Decision("chosen", "it is the best", chosen=chosen)
    told = target_result(run.bench, Decided(decision, standings), plan, work.outcomes)
    assert told.metric == "accuracy" and told.source["accuracy"].value == pytest.approx(0.9)
    kept = told.candidate(chosen)
    assert kept.scores["validation"]["scores"].shape == (40, 3) and "test" not in kept.scores
    assert kept.measurements["difference.accuracy"].value == 0.0
    (verdict,) = kept.verdicts
    assert verdict.verdict == "pass"
    assert [each.group for each in told.slices["validation"]][:1] == ["class 0 (red)"]
    assert [each.array for each in told.inputs] == ["samples"]
    assert [each.classes for each in told.outputs] == [("red", "green", "blue")]
    facts = source_facts(work.outcomes, run.bench)
    assert facts["digest"] == work.outcomes["source"].digest
    assert facts["scores"]["validation"]["scores"]["shape"] == [40, 3]


def test_a_pass_that_failed_has_its_error_in_the_chain(
    run: TargetRun, plan: Plan, work: Work
) -> None:
    check = "check:simplify-onnx"
    error = {"type": "PassError", "what": "not the same", "where": "", "hint": ""}
    work.outcomes[check] = Outcome(job=check, status="failed", error=error)
    told = target_result(run.bench, run.built(), plan, work.outcomes)
    assert told.candidates[1].chain[0].error == error


def test_data_are_told_split_by_split(work: Work) -> None:
    facts = data_facts(work.known)
    assert {role: each["n"] for role, each in facts.items()} == {
        "calibration": 24, "validation": 40, "test": 40,
    }  # fmt: skip
    assert facts["test"]["labelled"] == {"scores": "label"}
    assert set(facts["test"]["unshared"]) == {"calibration", "validation"}
    assert facts["test"]["digest"] != facts["validation"]["digest"]


def test_a_quick_run_says_what_it_leaves_out() -> None:
    short = SCHEDULES["short"]
    note = quick_note()
    assert f"in {short.processes} fresh processes" in note
    assert f"in up to {MOST} processes" in note
