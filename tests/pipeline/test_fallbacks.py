"""Fallbacks: the same chains with a pass in another form, beside those that need it."""

from __future__ import annotations

from plans import asked

from edgeopt.pipeline.fallbacks import with_fallbacks
from edgeopt.planner import make_plan
from edgeopt.schema.plan import Plan

STEM = {"scheme": "u8s8", "float_stem": False}
PASSES = ["export-onnx", {"one_of": ["none", {"quantize-int8": STEM}]}]
ILL = "export-onnx/quantize-int8(scheme=u8s8, float_stem=False)"
FALLBACKS = {
    "export-onnx/quantize-int8(scheme=u8s8-reduced, float_stem=False)",
    "export-onnx/quantize-int8(scheme=u8s8-safe, float_stem=False)",
    "export-onnx/quantize-int8(scheme=u8s8)",
}


def leaves(plan: Plan) -> set[str]:
    return {c.job for c in plan.candidates if c.eligible}


def test_fallbacks_are_planned_beside_what_needs_them_and_nothing_else_changes() -> None:
    recipe, known = asked(PASSES)
    before = make_plan(recipe, known)
    after, named = with_fallbacks(recipe, known, before, [ILL])
    assert set(named[ILL]) == FALLBACKS
    assert leaves(after) - leaves(before) == FALLBACKS
    assert after.candidates[: len(before.candidates)] == before.candidates
    assert after.jobs[: len(before.jobs)] == before.jobs
    for job in FALLBACKS:
        assert after.job(job).inputs["parent"] == "export-onnx"
        assert after.job(f"check:{job}").inputs["child"] == job


def test_a_fallback_that_is_there_already_is_named_and_not_planned_again() -> None:
    safe = {"quantize-int8": {"scheme": "u8s8-safe", "float_stem": False}}
    recipe, known = asked(["export-onnx", {"one_of": [{"quantize-int8": STEM}, safe]}])
    before = make_plan(recipe, known)
    after, named = with_fallbacks(recipe, known, before, [ILL])
    assert set(named[ILL]) == FALLBACKS
    assert len(after.candidates) == len(before.candidates) + 2
    assert len({c.id for c in after.candidates}) == len(after.candidates)


def test_only_targets_of_the_ill_one_get_fallbacks() -> None:
    targets = ["local/onnxruntime", "local/litert"]
    both = ["export-onnx", {"one_of": ["none", {"quantize-int8": STEM}]}]
    passes = [{"one_of": ["export-onnx", "export-tflite"]}, both[1]]
    recipe, known = asked(passes, targets=targets)
    before = make_plan(recipe, known)
    after, _ = with_fallbacks(recipe, known, before, [ILL])
    fresh = set(after.candidates) - set(before.candidates)
    assert {c.target for c in fresh} == {"local/onnxruntime"}


def test_without_room_for_more_candidates_the_plan_stays() -> None:
    recipe, known = asked(PASSES, limits={"candidates": 2})
    before = make_plan(recipe, known)
    assert with_fallbacks(recipe, known, before, [ILL]) == (before, {})


def test_a_chain_without_fallbacks_is_left_alone() -> None:
    recipe, known = asked(["export-onnx", {"quantize-int8": {"scheme": "s8s8"}}])
    before = make_plan(recipe, known)
    (leaf,) = leaves(before)
    after, named = with_fallbacks(recipe, known, before, [leaf])
    assert (after.candidates, named) == (before.candidates, {leaf: ()})
