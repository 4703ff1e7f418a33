from __future__ import annotations

import pytest

from edgeopt.schema.artifact import Description, Signature
from edgeopt.schema.job import Job
from edgeopt.schema.plan import Candidate, Plan


def candidate(*chain: str, stages: tuple[str, ...] = ()) -> Candidate:
    described = Description(format="onnx", signature=Signature(inputs=(), outputs=()))
    return Candidate(
        id="c", target="local/onnxruntime", chain=chain, steps=chain, stages=stages, job="j",
        description=described,
    )  # fmt: skip


def test_a_chain_is_read_from_first_to_last() -> None:
    assert candidate("export-onnx", "fp16").label == "export-onnx > fp16"
    assert candidate().label == "source"


def test_the_rest_of_a_chain_is_what_no_stage_is() -> None:
    made = candidate("prune", "distill", "export-onnx", stages=("distill", "prune"))
    assert made.rest == ("export-onnx",)
    assert candidate("export-onnx", "fp16").rest == ("export-onnx", "fp16")


def test_a_plan_finds_its_jobs_by_id() -> None:
    jobs = tuple(Job(id=id, kind="pass", name=f"the {id}") for id in ("a", "b"))
    plan = Plan(jobs=jobs, candidates=())
    assert plan.job("b") is plan.jobs[1]
    with pytest.raises(KeyError, match="'c'"):
        plan.job("c")
