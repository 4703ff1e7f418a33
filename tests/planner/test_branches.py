"""Plans: shared prefixes, inserted conversions, and what is refused before anything runs."""

from __future__ import annotations

from typing import Any

import plans
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import description, plan

from edgeopt.environments import environments
from edgeopt.schema.errors import PlanError
from edgeopt.schema.plan import Plan


def chains(made: Plan) -> set[tuple[str, ...]]:
    return {c.chain for c in made.candidates if c.eligible}


QUANTIZED = {"one_of": ["none", {"quantize-int8": {"scheme": "s8s8"}}, {"fp16": {}}]}


def test_alternatives_multiply_and_share_their_prefix() -> None:
    made = plan([{"export-onnx": {}}, {"one_of": ["none", "simplify-onnx"]}, QUANTIZED])
    assert len(chains(made)) == 6
    passes = [job.id for job in made.jobs if job.kind == "pass"]
    assert len(passes) == len(set(passes)) == 6
    assert passes.count("export-onnx") == 1
    assert sum(c.reference for c in made.candidates) == 1


def test_a_conversion_is_inserted_only_where_no_step_converts() -> None:
    assert chains(plan([QUANTIZED])) == {
        ("export-onnx",),
        ("export-onnx", "quantize-int8(scheme=s8s8)"),
        ("export-onnx", "fp16"),
    }
    assert chains(plan([])) == {("export-onnx",)}
    assert all(len(chain) == 2 for chain in chains(plan([{"export-onnx": {}}, "simplify-onnx"])))


def test_auto_becomes_concrete_schemes_for_the_isa() -> None:
    made = plan([{"quantize-int8": {"scheme": "auto"}}])
    labels = {chain[-1] for chain in chains(made)}
    assert labels
    assert all("scheme=" in label and "auto" not in label for label in labels)


def test_an_impossible_chain_is_refused_with_its_line_and_reason() -> None:
    with pytest.raises(PlanError, match="fp16"):
        plan([{"quantize-int8": {"scheme": "s8s8"}}, "fp16"])
    with pytest.raises(PlanError, match="quantize-int8"):
        plan([{"quantize-int8": {"scheme": "s8s8"}}], description("onnx", "int8", "qdq"))


def test_one_impossible_combination_is_dropped_and_noted() -> None:
    made = plan(
        [{"one_of": ["none", {"quantize-int8": {"scheme": "s8s8"}}]}, {"one_of": ["none", "fp16"]}]
    )
    assert ("export-onnx", "quantize-int8(scheme=s8s8)", "fp16") not in chains(made)
    assert ("export-onnx", "fp16") in chains(made)
    assert any("fp16" in note for note in made.notes)


def test_a_pass_passed_over_on_every_branch_is_an_error() -> None:
    with pytest.raises(PlanError) as caught:
        plan(["export-onnx"], description("onnx"))
    assert "is skipped" in caught.value.what
    assert "onnx" in caught.value.hint
    assert caught.value.exit_code == 2


def test_beside_none_what_fits_nowhere_is_noted_and_the_model_measured_as_it_is() -> None:
    quantized = description("onnx", "int8", "qdq")
    made = plan([{"one_of": ["none", "simplify-onnx"]}, QUANTIZED], quantized)
    assert chains(made) == {()} and made.candidates[0].reference
    assert any("simplify-onnx after the source" in note for note in made.notes)
    assert "no pass applies to the source: it is measured as it is" in made.notes
    made = plan([{"one_of": ["none", "export-onnx"]}, QUANTIZED], description("onnx"))
    assert chains(made) == {(), ("quantize-int8(scheme=s8s8)",), ("fp16",)}
    (told,) = [note for note in made.notes if "is skipped on every branch" in note]
    assert told.startswith("'export-onnx'") and "it takes keras, savedmodel, torch" in told
    assert not any("no pass applies" in note for note in made.notes)


def test_beside_none_fields_that_no_format_has_stay_an_error() -> None:
    with pytest.raises(PlanError, match=r"'quantize-int8' can never run.*scheme"):
        plan([{"one_of": ["none", {"quantize-int8": {"scheme": "static"}}]}], description("onnx"))


def test_an_engine_that_nothing_reaches_is_named_with_what_it_takes() -> None:
    with pytest.raises(PlanError) as caught:
        plan([{"quantize-int8": {"engine": "tensorflow"}}], description("onnx"))
    assert "quantize-int8: {engine: tensorflow}" in caught.value.what
    assert "it takes keras, savedmodel; the formats that reached it: onnx" in caught.value.hint


PRUNED = {"prune-structured": {"macs": 0.5}}


def test_one_of_several_may_stand_beside_a_stage_alone() -> None:
    several = {"one_of": ["export-onnx", {"quantize-int8": {"engine": "tensorflow"}}]}
    made = plan([PRUNED, several], description("keras"), targets=["local/*"])
    assert ("quantize-int8(engine=tensorflow)",) in {c.chain for c in made.candidates}
    assert any("prune-structured(macs=0.5)" in c.chain for c in made.candidates)
    with pytest.raises(PlanError, match="engine: tensorflow"):
        plan([PRUNED, several["one_of"][1]], description("keras"), targets=["local/*"])


def test_networks_of_products_are_tried_in_dynamic_forms_where_the_runtime_has_them() -> None:
    linear = description("onnx").model_copy(update={"kind": "linear"})
    made = plan([{"quantize-int8": {"scheme": "auto"}}], linear, targets=["local/*"])
    tried: dict[str, set[str]] = {"onnxruntime": set(), "openvino": set()}
    for candidate in made.candidates:
        if candidate.chain:
            tried[candidate.target.rpartition("/")[2]].add(candidate.chain[-1])
    outliers = {label for label in tried["onnxruntime"] if "float_outliers=True" in label}
    assert any("dynamic" in label for label in tried["onnxruntime"] - outliers) and outliers
    assert "quantize-int8(scheme=weight-only)" in tried["openvino"]
    assert not any("dynamic" in label for label in tried["openvino"])
    plain = plan([{"quantize-int8": {"scheme": "auto"}}], description("onnx"))
    assert not any("dynamic" in label for chain in chains(plain) for label in chain)


def test_a_form_without_ranges_needs_no_calibration_split() -> None:
    for scheme in ("dynamic", "weight-only"):
        made = plan([{"quantize-int8": {"scheme": scheme}}], splits=("validation",))
        (job,) = [j for j in made.jobs if j.kind == "pass" and j.name == "quantize-int8"]
        assert set(job.inputs) == {"parent"}


def test_a_missing_split_and_too_many_candidates_are_errors() -> None:
    with pytest.raises(PlanError, match="calibration"):
        plan([{"quantize-int8": {"scheme": "s8s8"}}], splits=("validation",))
    with pytest.raises(PlanError, match=r"limits\.candidates"):
        plan([{"export-onnx": {}}, QUANTIZED], limits={"candidates": 2})


def test_a_torch_target_takes_the_source_itself() -> None:
    made = plan([], targets=["local/torch"])
    (only,) = made.candidates
    assert (only.chain, only.job, only.reference) == ((), "open", True)


steps = st.lists(
    st.sampled_from(["export-onnx", "simplify-onnx", QUANTIZED, {"one_of": ["none", "fp16"]}]),
    max_size=4,
)


@given(steps)
@settings(deadline=None)
def test_any_steps_make_a_sound_plan_or_a_plan_error(passes: list[Any]) -> None:
    try:
        made = plan(passes)
    except PlanError as error:
        assert error.what
        return
    ids = [job.id for job in made.jobs]
    assert len(ids) == len(set(ids))
    for candidate in made.candidates:
        assert candidate.job in {*ids, "open"}
        assert candidate.description.format == "onnx"
    assert sum(c.reference for c in made.candidates) == 1


BOTH = {"one_of": ["export-onnx", "export-tflite"]}


def test_a_device_races_every_runtime_that_a_chain_ends_in() -> None:
    made = plan([BOTH, "simplify-onnx", {"one_of": ["none", "fp16"]}], targets=["local/*"])
    by_runtime: dict[str, set[tuple[str, ...]]] = {}
    for each in made.candidates:
        assert each.group == "local/*"
        if each.eligible:
            by_runtime.setdefault(each.target, set()).add(each.chain)
    assert {target: len(found) for target, found in by_runtime.items()} == {
        "local/onnxruntime": 2,
        "local/openvino": 2,
        "local/litert": 2,
    }
    assert by_runtime["local/onnxruntime"] == by_runtime["local/openvino"]
    (reference,) = [each for each in made.candidates if each.reference]
    assert reference.target == "local/onnxruntime" and reference.chain == ("export-onnx",)
    assert any("local/torch is left out" in note for note in made.notes)
    passes = [job.id for job in made.jobs if job.kind == "pass"]
    assert len(passes) == len(set(passes)) == 5, "runtimes of one format share every job"


def test_a_target_that_no_chain_ends_for_fails_beside_others_and_alone_is_an_error() -> None:
    source, targets = description("onnx"), ["local/torch", "local/onnxruntime"]
    made = plan([QUANTIZED], source, targets=targets)
    assert {c.target for c in made.candidates} == {"local/onnxruntime"}
    assert list(made.failed) == ["local/torch"]
    assert made.failed["local/torch"].startswith("no chain of the recipe ends in torch")
    with pytest.raises(PlanError, match="no chain of the recipe ends in torch") as caught:
        plan([QUANTIZED], source, targets=targets[:1])
    assert caught.value.exit_code == 2


def test_a_tool_environment_is_asked_for_by_a_target_of_its_own_or_by_name() -> None:
    """Guards against a question, and half a gigabyte, for a format that nobody asked for."""
    source, tool = description("onnx"), "onnx2tf"
    for passes, targets, expected in (
        ([QUANTIZED], ["local/*"], False),
        (["export-tflite"], ["local/*"], True),
        ([QUANTIZED], ["local/litert"], True),
    ):
        made = plan(passes, source, targets=targets)
        assert (tool in {job.worker for job in made.jobs}) == expected
        keys = {job.key["environment"] for job in made.jobs if job.worker == tool}
        assert keys <= {environments()[tool].digest}


def test_a_conversion_comes_before_what_it_would_take_out_again() -> None:
    """Guards against rows called INT8 whose files are float: onnx2tf takes QDQ out."""
    steps = [
        {"one_of": ["none", "simplify-onnx"]},
        {"one_of": ["none", {"quantize-int8": {"scheme": "auto"}}, "fp16"]},
    ]
    made = plan(steps, description("onnx"), targets=["local/litert"])
    quantized = {chain for chain in chains(made) if any("int8" in label for label in chain)}
    assert quantized and all("int8" in chain[-1] for chain in quantized)
    assert all(chain[-2] == "export-tflite" for chain in quantized)
    assert ("simplify-onnx", "export-tflite", "fp16") in chains(made)


def test_a_library_that_is_missing_is_told_before_anything_runs() -> None:
    made = plan(["export-tflite"], targets=["local/litert"], versions={"litert-torch": ""})
    (note,) = [note for note in made.notes if "litert-torch" in note]
    assert note.startswith("export-tflite needs litert-torch, which is not installed")
    assert note.endswith("pip install 'edgeopt[litert-torch]'")
    assert not plan(["export-tflite"], targets=["local/litert"]).notes


def test_an_onnx_source_is_rebuilt_in_torch_for_passes_that_train_and_for_nothing_else() -> None:
    source = description("onnx")
    made = plan([{"prune-structured": {"macs": 0.5}}, "export-onnx"], source)
    assert ("to-torch", "prune-structured(macs=0.5)", "export-onnx") in chains(made)
    made = plan([QUANTIZED], source, targets=["local/*"])
    assert not any("to-torch" in chain for chain in chains(made))


def test_a_branch_that_ends_for_no_target_is_not_built() -> None:
    made = plan([BOTH, {"one_of": ["none", "fp16"]}], targets=["local/litert"])
    assert {job.name for job in made.jobs if job.kind == "pass"} == {"export-tflite", "fp16"}


def test_a_device_without_any_runtime_that_fits_is_an_error() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "FOUND", ("litert",))
        with pytest.raises(PlanError, match="no chain of the recipe ends in tflite"):
            plan(["export-onnx"], targets=["local/*"])


def test_fields_meant_for_one_format_drop_the_other_s_branch() -> None:
    int8 = {"one_of": ["none", {"quantize-int8": {"scheme": "static"}}]}
    made = plan([BOTH, int8], targets=["local/*"])
    quantized = {c.target for c in made.candidates if any("int8" in label for label in c.chain)}
    assert quantized == {"local/litert"}
    assert any("quantize-int8 for onnx" in note for note in made.notes)


def test_a_stage_is_planned_with_and_without_and_later_ones_only_upon_it() -> None:
    stages = [{"prune-structured": {"macs": 0.5}}, {"distill": {}}]
    splits = ("calibration", "validation", "train")
    made = plan([*stages, "export-onnx", {"one_of": ["none", {"fp16": {}}]}], splits=splits)
    prune, distill = "prune-structured(macs=0.5)", "distill"
    expected = [(), (prune,), (prune, distill)]
    for end in (("export-onnx",), ("export-onnx", "fp16")):
        assert {(*s, *end) for s in expected} <= chains(made)
    assert len(chains(made)) == 6
    assert {c.stages for c in made.candidates} == set(expected)
    assert all(c.rest[0] == "export-onnx" for c in made.candidates)


def test_none_beside_a_stage_lets_later_stages_run_alone() -> None:
    prune = {"prune-structured": {"macs": 0.5}}
    splits = ("calibration", "validation", "train")
    made = plan([{"one_of": ["none", prune]}, {"distill": {}}, "export-onnx"], splits=splits)
    label = "prune-structured(macs=0.5)"
    wanted = {(), (label,), ("distill",), (label, "distill")}
    assert {c.stages for c in made.candidates if c.eligible} == wanted


def test_what_the_whole_chain_refuses_is_an_error_though_a_shorter_one_takes_it() -> None:
    splits = ("calibration", "validation", "train")
    passes = [{"qat": {"scheme": "u8s8"}}, "export-onnx", {"quantize-int8": {"scheme": "s8s8"}}]
    with pytest.raises(PlanError, match="'quantize-int8' can never run"):
        plan(passes, splits=splits)


def test_what_the_oldest_version_does_not_read_is_not_planned() -> None:
    steps = ["export-onnx", {"one_of": ["none", {"quantize-int4": {"form": "qdq"}}]}]
    made = plan(steps, runtime={"onnxruntime": ">=1.17"})
    assert chains(made) == {("export-onnx",)}
    assert any("opset 21 is newer than 20" in note for note in made.notes)
    assert len(chains(plan(steps, runtime={"onnxruntime": ">=1.18"}))) == 2
    with pytest.raises(PlanError, match="opset 20 is newer than 18"):
        plan([{"export-onnx": {"opset": 20}}], runtime={"onnxruntime": ">=1.15"})
