from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.schema.errors import UsageError
from edgeopt.schema.runtime import runtimes
from edgeopt.schema.target import Target, parse_target

DEVICES = st.from_regex(r"[a-z]{1,9}(:[A-Za-z0-9_.-]{1,9})?", fullmatch=True)


@st.composite
def targets(draw: st.DrawFn) -> Target:
    runtime = draw(st.sampled_from(sorted(runtimes())))
    declared = runtimes()[runtime]
    accelerator = draw(st.sampled_from(list(declared.accelerators)))
    drawn = {
        name: draw(
            st.sampled_from([v for v in known.values if v != "tf32" or accelerator != "cpu"])
        )
        for name, known in declared.settings.items()
    }
    settings = tuple((n, v) for n, v in drawn.items() if v != declared.settings[n].values[0])
    counts = {name: draw(st.integers(1, 4096)) for name in ("threads", "batch")}
    device = draw(DEVICES)
    return Target(
        device=device, runtime=runtime, accelerator=accelerator, settings=settings, **counts
    )


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
        ("local/onnxruntime?precision=fp16", "'precision' is a setting of torch, not of onnx"),
        ("local/torch?precision=int8", "one of fp32, tf32, fp16, bf16, not 'int8'"),
        ("local/torch?precision=tf32", "a precision of CUDA"),
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
