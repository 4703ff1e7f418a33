from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeopt.recipe import Choice, Step


def step(raw: Any) -> Step:
    return Step.model_validate(raw)


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("fp16", {"fp16": {}}),
        ({"fp16": None}, {"fp16": {}}),
        (None, "none"),
        ({"quantize-int8": {"scheme": "s8s8"}}, {"quantize-int8": {"scheme": "s8s8"}}),
        ({"one_of": ["fp16"]}, {"fp16": {}}),
        ({"one_of": ["none", "fp16"]}, {"one_of": ["none", {"fp16": {}}]}),
    ],
)
def test_every_way_of_writing_a_step_is_read_and_written_in_one(raw: Any, written: Any) -> None:
    assert step(raw).to_yaml() == written
    assert step(written) == step(raw) == step(step(raw).to_json())


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"one_of": []}, "'one_of' takes a list of passes"),
        ({"one_of": "fp16"}, "'one_of' takes a list of passes"),
        ({"fp16": {}, "simplify-onnx": {}}, "a step is one pass"),
        (3, "a step is one pass"),
        ({"none": {"a": 1}}, "'none' takes no fields"),
        ({"fp16": 3}, "the fields of 'fp16' are a mapping, not 3"),
        ("fp17", "Did you mean 'fp16'?"),
        ({"quantize-int8": {"shceme": "s8s8"}}, "unknown key 'shceme'. Did you mean 'scheme'?"),
        ({"quantize-int8": {"samples": 0}}, "pass 'quantize-int8': 'samples': Input should be"),
        ({"prune-structured": {"macs": 2}}, "pass 'prune-structured': 'macs"),
    ],
)
def test_what_is_no_step_is_refused_by_name(raw: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        step(raw)
    assert said in str(caught.value)


def test_fields_of_any_format_of_a_pass_are_taken() -> None:
    """Whichever branch they are meant for is the planner's matter."""
    for scheme in ("u8s8", "dynamic"):
        assert step({"quantize-int8": {"scheme": scheme}}).choices[0].fields == {"scheme": scheme}


@pytest.mark.parametrize(
    ("name", "stage"), [("none", False), ("fp16", False), ("distill", True), ("qat", True)]
)
def test_a_stage_changes_the_network_itself(name: str, stage: bool) -> None:
    assert Choice(name=name).stage is stage


def test_a_choice_is_labelled_as_it_would_be_written() -> None:
    assert Choice(name="fp16").label == "fp16"
    made = Choice(name="quantize-int8", fields={"scheme": "s8s8"})
    assert made.label == 'quantize-int8 {"scheme": "s8s8"}'
