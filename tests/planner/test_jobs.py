"""The jobs of a plan: their inputs, their order, and what their keys hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import plans
import pytest
from plans import description, plan

from edgeopt.planner import make_plan
from edgeopt.planner.jobs import SOURCE_CHECK, Branch, Jobs, needed
from edgeopt.schema.errors import DataError, PlanError
from edgeopt.schema.plan import Plan
from edgeopt.step import Pass, registry

INT8 = {"quantize-int8": {"scheme": "s8s8"}}


def made_with(
    passes: list[Any], version: str = "1", isa: str = "x86_64-avx2", **fields: Any
) -> Plan:
    recipe, known = plans.asked(passes, **fields)
    return make_plan(recipe, replace(known, version=lambda _: version, host_isa=isa))


def test_every_pass_has_its_check_and_waits_for_the_one_before() -> None:
    made = plan([{"export-onnx": {}}, "simplify-onnx"])
    simplify = made.job("export-onnx/simplify-onnx")
    assert simplify.inputs["parent"] == "export-onnx"
    assert simplify.needs == ("check:export-onnx",)
    check = made.job("check:export-onnx/simplify-onnx")
    assert (check.inputs["parent"], check.inputs["child"]) == ("export-onnx", simplify.id)
    assert check.params["promise"]["kind"] == "close"


def test_jobs_come_after_their_inputs() -> None:
    made = plan([{"export-onnx": {}}, {"one_of": ["none", "simplify-onnx"]}, INT8])
    seen = {"open", "data:calibration", "data:validation"}
    for job in made.jobs:
        assert set(job.inputs.values()) <= seen
        seen.add(job.id)


def test_calibration_enters_only_the_jobs_of_passes_that_ask_for_it() -> None:
    made = plan([{"export-onnx": {}}, {"one_of": ["none", INT8, "quantize-int4"]}])
    passes = [job for job in made.jobs if job.kind == "pass"]
    assert {job.name for job in passes if "calibration" in job.inputs} == {"quantize-int8"}
    assert len(passes) == 3


@pytest.mark.parametrize("there", [True, False])
def test_an_optional_split_enters_a_job_where_the_recipe_has_it(there: bool) -> None:
    splits = ("validation", *(["calibration"] if there else []))
    made = plan(["export-onnx", "fp16"], splits=splits)
    (job,) = [job for job in made.jobs if job.name == "fp16" and job.kind == "pass"]
    assert ("calibration" in job.inputs) == there


def test_the_source_is_checked_before_any_pass() -> None:
    made = plan(["export-onnx"])
    assert made.job("export-onnx").needs == (SOURCE_CHECK,)
    check = made.job(SOURCE_CHECK)
    assert check.inputs["model"] == "open" and check.worker == "torch"
    assert check.key["isa"] == "x86_64-avx2"


def test_a_key_holds_the_versions_of_what_a_pass_uses_and_the_seed() -> None:
    def key(made: Plan) -> dict[str, Any]:
        return made.job("export-onnx").key

    first = key(made_with(["export-onnx"]))
    assert "torch" in first["versions"] and first["seed"] == 0
    assert key(made_with(["export-onnx"], version="2")) != first
    assert key(made_with(["export-onnx"], seed=7)) == {**first, "seed": 7}
    assert key(made_with(["export-onnx"], isa="aarch64")) == first, "an export is the same anywhere"


def test_a_check_is_loaded_where_both_formats_can_be() -> None:
    made = plan(["export-onnx", "simplify-onnx"])
    assert made.job("check:export-onnx").worker == "torch"
    assert made.job("check:export-onnx/simplify-onnx").worker == "onnx"


def test_samples_are_prepared_once_for_all_that_take_them_alike() -> None:
    made = plan(["export-onnx", {"one_of": ["none", "simplify-onnx"]}])
    fed = {job.inputs[role] for job in made.jobs if job.kind == "check"
           for role in ("samples", "child_samples") if role in job.inputs}  # fmt: skip
    assert len(fed) == 1
    assert sum(job.name == "tensors" for job in made.jobs) == 1


def test_samples_for_quantized_inputs_wait_for_the_model() -> None:
    int8 = {"quantize-int8": {"scheme": "static-int8-io"}}
    made = plan(["export-tflite", int8], targets=["local/litert"])
    (check,) = [job for job in made.jobs if job.kind == "check" and job.name == "quantize-int8"]
    fed = made.job(check.inputs["child_samples"])
    assert fed.inputs["model"] == check.inputs["child"]
    assert "model" not in made.job(check.inputs["samples"]).inputs
    assert check.worker == "litert"


def test_samples_of_another_shape_are_refused_by_name() -> None:
    recipe, known = plans.asked(["export-onnx"])
    ref = known.raw["validation"].arrays["images"].model_copy(update={"shape": (32, 27, 28)})
    other = known.raw["validation"].model_copy(update={"arrays": {"images": ref}})
    with pytest.raises(DataError, match="image"):
        make_plan(recipe, replace(known, raw={**known.raw, "validation": other}))


def test_a_missing_split_is_told_by_who_needs_it() -> None:
    with pytest.raises(PlanError, match="'quantize-int8' needs a 'calibration' split") as caught:
        plan([INT8], splits=("validation",))
    assert 'calibration: "train[:512]"' in caught.value.hint


def test_only_jobs_that_lead_to_a_candidate_are_needed() -> None:
    recipe, known = plans.asked([])
    jobs = Jobs(recipe, known)
    made = plan(["export-onnx", {"one_of": ["none", "simplify-onnx"]}])
    (short,) = [c for c in made.candidates if c.chain == ("export-onnx",)]
    kept = needed(made.jobs, [short])
    assert {job.id for job in made.jobs} - {job.id for job in kept} == {
        "export-onnx/simplify-onnx", "check:export-onnx/simplify-onnx",
    }  # fmt: skip
    assert kept == [job for job in made.jobs if job in kept], "their order stays"
    assert needed(jobs.by_id.values(), []) == []


def test_a_pass_is_planned_once_whoever_asks_for_it() -> None:
    recipe, known = plans.asked([])
    jobs = Jobs(recipe, known)
    root = Branch(description(), "open", jobs.check_source())
    step = registry()["export-onnx", "torch"]()
    first, second = jobs.add(root, step), jobs.add(root, step)
    assert first == second and first.labels == ("export-onnx",)
    assert sum(job.kind == "pass" for job in jobs.by_id.values()) == 1


class Student(Pass):
    """A pass that trains, as far as the planner is concerned."""

    name: ClassVar[str] = "student"
    takes: ClassVar[str] = "torch"
    gives: ClassVar[str] = "torch"
    worker: ClassVar[str] = "torch"
    splits: ClassVar[tuple[str, ...]] = ("train", "validation")
    labels: ClassVar[bool] = True
    teaches: ClassVar[bool] = True
    limit_s: ClassVar[float | None] = 86_400.0

    loss: str = "loss.py:focal"

    @property
    def code(self) -> tuple[str, ...]:
        return (self.loss,)


@pytest.fixture
def student(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry(), ("student", "torch"), Student)


def test_a_pass_that_trains_sees_labels_teacher_and_code(student: None) -> None:
    made = plan(["student", "export-onnx"], splits=("train", "validation"))
    job = made.job("student")
    assert job.inputs["teacher"] == "open"
    assert job.inputs["labels:train"] == "data:train"
    assert job.inputs["train"] != job.inputs["validation"]
    assert set(job.key["labels"]) == {"train", "validation"}
    assert job.key["code"] == {"loss.py:focal": {}}
    assert job.where["code"] == {"loss.py:focal": ["", "loss.py:focal"]}
    assert job.limits.time_s == 86_400.0


def test_a_missing_training_split_is_told(student: None) -> None:
    with pytest.raises(PlanError, match="'student' needs a 'train' split") as caught:
        plan(["student", "export-onnx"])
    assert "train: train" in caught.value.hint
