from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.schema.errors import UsageError
from edgeopt.schema.runtime import Setting, runtimes
from edgeopt.schema.target import Target, parse_target

DEVICES = st.from_regex(r"[a-z]{1,9}(:[A-Za-z0-9_.-]{1,9})?", fullmatch=True)


@st.composite
def targets(draw: st.DrawFn) -> Target:
    runtime = draw(st.sampled_from(sorted(runtimes())))
    declared = runtimes()[runtime]
    accelerator = draw(st.sampled_from(list(declared.accelerators)))
    drawn = {
        name: draw(st.sampled_from([None, *_there(known, accelerator)]))
        for name, known in declared.settings.items()
    }
    settings = tuple(
        (name, value)
        for name, value in drawn.items()
        if value and (declared.settings[name].worth or value != declared.settings[name].default)
    )
    counts = {name: draw(st.integers(1, 4096)) for name in ("threads", "batch")}
    device = draw(DEVICES)
    return Target(
        device=device, runtime=runtime, accelerator=accelerator, settings=settings, **counts
    )


def _there(setting: Setting, accelerator: str) -> list[str]:
    """The values that an accelerator has."""
    return [v for v in setting.values if setting.only_on.get(v, accelerator) == accelerator]


TARGETS = targets()


@given(TARGETS)
def test_a_target_reads_back_what_it_writes(target: Target) -> None:
    assert parse_target(str(target)) == target
    assert Target.model_validate(target.to_json()) == target


@given(TARGETS)
def test_a_slug_is_a_file_name(target: Target) -> None:
    assert "/" not in target.slug and ":" not in target.slug and "?" not in target.slug


@given(st.text(max_size=30))
def test_any_text_is_a_target_or_a_usage_error(text: str) -> None:
    try:
        target = parse_target(text)
    except UsageError as error:
        assert error.exit_code == 2 and error.hint + error.what
    else:
        assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("local", "cannot read target 'local'"),
        ("local/onnxruntim", "unknown runtime 'onnxruntim'"),
        ("local/onnxruntime:gpuu", "unknown accelerator 'gpuu'"),
        ("local/torch:tensorrt", "'torch' has no 'tensorrt'"),
        ("local/*:cuda", "'*' has no 'cuda'"),
        ("local/onnxruntime?thread=2", "unknown setting 'thread'"),
        (
            "local/onnxruntime?precision=fp16",
            "'precision' is a setting of openvino, torch, not of onnx",
        ),
        ("local/torch?precision=int8", "one of fp32, tf32, fp16, bf16, not 'int8'"),
        ("local/torch?precision=tf32", "'precision=tf32' is there on CUDA only, not on CPU"),
        ("local/onnxruntime:cuda?int8=allowed", "'int8=allowed' is there on CPU only"),
        ("local/onnxruntime?int8=yes", "'int8' is one of auto, allowed, not 'yes'"),
        ("local/onnxruntime?optt=all", "unknown setting 'optt'"),
        ("local/openvino?opt=all", "'opt' is a setting of onnxruntime, not of openvino"),
        ("local/torch?mode=compiled&mode=eager", "appears twice"),
        ("local/onnxruntime?threads=2&threads=3", "appears twice"),
        ("local/onnxruntime?threads=0", "whole number from 1, not '0'"),
        ("local/onnxruntime?threads=two", "not 'two'"),
        ("local/onnxruntime?threads=²", "not '²'"),
        ("local/onnxruntime?threads=4097", "not '4097'"),
    ],
)
def test_errors_name_the_part_that_is_wrong(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert told in caught.value.what


def test_a_misspelt_runtime_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        parse_target("local/onnxruntim")
    assert caught.value.hint == "Did you mean 'onnxruntime'?"


def test_the_defaults_are_not_written() -> None:
    assert str(parse_target("local/onnxruntime:cpu?threads=1&batch=1")) == "local/onnxruntime"
    spelled = "local/torch:cuda?mode=eager&precision=fp32"
    assert str(parse_target(spelled)) == "local/torch:cuda"


def test_a_session_is_told_of_what_differs() -> None:
    target = parse_target("local/torch:cuda?precision=bf16&mode=compiled&threads=2")
    assert target.choices == {"mode": "compiled", "precision": "bf16"}
    assert str(target) == "local/torch:cuda?threads=2&mode=compiled&precision=bf16"
    assert parse_target("local/onnxruntime:cuda").choices == {}


@pytest.mark.parametrize(
    ("text", "choices", "left_open"),
    [
        ("local/onnxruntime", {}, {"int8", "opt"}),
        ("local/onnxruntime?threads=2&int8=allowed&opt=extended",
         {"int8": "allowed", "opt": "extended"}, set()),
        ("local/onnxruntime?opt=all", {"opt": "all"}, {"int8"}),
        ("local/openvino?dynamic_quant=0", {"dynamic_quant": "0"}, {"precision"}),
        ("local/litert?api=compiled", {"api": "compiled"}, set()),
        ("local/torch", {}, set()),
        ("local/*", {}, set()),
    ],
)  # fmt: skip
def test_a_setting_that_may_be_raced_is_open_unless_it_is_pinned(
    text: str, choices: dict[str, str], left_open: set[str]
) -> None:
    target = parse_target(text)
    assert str(target) == text and target.choices == choices
    assert set(target.open_settings) == left_open


def test_settings_are_put_in_place_of_those_of_their_names() -> None:
    target = parse_target("local/onnxruntime?threads=2&opt=basic")
    under = target.under({"opt": "extended", "int8": "allowed"})
    assert str(under) == "local/onnxruntime?threads=2&int8=allowed&opt=extended"
    assert target.under({}) is target
    with pytest.raises(UsageError, match="one of auto, allowed, not 'yes'"):
        target.under({"int8": "yes"})


@pytest.mark.parametrize(
    ("text", "there", "on_host"),
    [
        ("local/openvino", "local/openvino?dynamic_quant=0", "local/openvino?dynamic_quant=0"),
        ("local/openvino?dynamic_quant=0",) * 3,
        ("local/onnxruntime?int8=allowed",) * 3,
        ("local/torch?precision=bf16", "local/torch?precision=bf16", "local/torch"),
    ],
)
def test_answers_are_compared_under_settings_that_mean_the_same(
    text: str, there: str, on_host: str
) -> None:
    target = parse_target(text)
    assert str(target.in_parity()) == there
    assert str(target.in_parity(host=True)) == on_host


def test_this_machine_may_stand_for_an_older_cpu() -> None:
    target = parse_target("local/*?threads=2&isa=avx2")
    assert (target.device, target.isa) == ("local:avx2", "avx2")
    assert str(target) == "local/*?threads=2&isa=avx2"
    assert parse_target(str(target.on("openvino"))).under({"dynamic_quant": "0"}).isa == "avx2"
    for text, said in (
        ("local/onnxruntime?isa=mmx", "'isa' is one of avx512f, avx2, sse4_1"),
        ("local/onnxruntime:cuda?isa=avx2", "on local's CPU only"),
        ("ssh:jetson/onnxruntime?isa=avx2", "on local's CPU only"),
    ):
        with pytest.raises(UsageError, match=said):
            parse_target(text)
