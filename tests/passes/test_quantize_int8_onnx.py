"""What quantize-int8 of ONNX says of itself, before anything runs."""

from __future__ import annotations

import pytest
from passes_bench import network
from pydantic import ValidationError

from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.schema.target import TargetFacts


def described(*facts: str) -> Description:
    return Description.model_validate(
        {"format": "onnx", "signature": {"inputs": [], "outputs": []}, "facts": facts}
    )


def test_auto_becomes_what_suits_the_isa() -> None:
    description = Description.model_validate(
        {"format": "onnx", "signature": {"inputs": [], "outputs": []}, "facts": ["float32"]}
    )

    def schemes(isa: str) -> list[str]:
        facts = TargetFacts(target="local/onnxruntime", isa=isa)
        return [v.scheme for v in QuantizeInt8().variants(description, facts)]

    assert schemes("x86_64-avx512_vnni") == ["u8s8", "u8s8-safe"]
    assert schemes("x86_64-avx2") == ["u8s8-safe", "u8s8-reduced", "u8s8"]
    assert "s8s8" in schemes("aarch64-asimddp")
    for accelerator in ("cuda", "tensorrt"):
        facts = TargetFacts(target=f"local/onnxruntime:{accelerator}", isa="x86_64-avx2")
        (form,) = QuantizeInt8().variants(description, facts)
        assert (form.scheme, form.placement) == ("s8s8-symmetric", "products")
        (pinned,) = QuantizeInt8(placement="every").variants(description, facts)
        assert pinned.placement == "every"
    with pytest.raises(PassError, match="'auto' stands for"):
        QuantizeInt8().run(network(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "isa", "fields", "stems"),
    [
        ("local/openvino", "x86_64-avx512_vnni", {}, [True, True, False, False]),
        ("local/openvino?threads=2", "x86_64-avx_vnni", {}, [True, True, False, False]),
        ("local/openvino", "x86_64-avx512_vnni", {"float_stem": True}, [True, True]),
        ("local/openvino", "x86_64-avx512_vnni", {"float_stem": False}, [False, False]),
        ("local/openvino", "x86_64-avx512_vnni", {"scheme": "u8s8"}, [True]),
        ("local/openvino", "x86_64-avx2", {}, [True, True, True, False]),
        ("local/onnxruntime", "x86_64-avx512_vnni", {}, [True, True]),
    ],
)
def test_first_convolutions_are_tried_both_ways_where_a_runtime_has_kernels_for_them(
    target: str, isa: str, fields: dict[str, object], stems: list[bool]
) -> None:
    facts = TargetFacts(target=target, isa=isa)
    variants = QuantizeInt8.model_validate(fields).variants(described("float32"), facts)
    assert [v.float_stem for v in variants] == stems


def test_a_scheme_that_may_saturate_has_others_to_fall_back_to() -> None:
    forms = [(p.scheme, p.float_stem) for p in QuantizeInt8(scheme="u8s8").fallbacks()]
    assert forms == [("u8s8-reduced", True), ("u8s8-safe", True)]
    bare = QuantizeInt8(scheme="u8s8", float_stem=False).fallbacks()
    assert [(p.scheme, p.float_stem) for p in bare][-1] == ("u8s8", True)
    assert QuantizeInt8(scheme="s8s8").fallbacks() == ()


@pytest.mark.parametrize(
    ("fact", "said"), [("qdq", "quantized already"), ("int8", "quantized"), ("float16", "float16")]
)
def test_only_float32_models_are_taken(fact: str, said: str) -> None:
    QuantizeInt8(scheme="u8s8").requires(described("float32"))
    with pytest.raises(PassError, match=said):
        QuantizeInt8(scheme="u8s8").requires(described("float32", fact))


def test_what_it_makes_is_foretold() -> None:
    assert QuantizeInt8().effect(described("float32", "static-batch")).facts == {
        "qdq", "int8", "static-batch"
    }  # fmt: skip
    assert QuantizeInt8(scheme="s8s8").effect(described("float32")).facts == {
        "qdq", "int8", "int8-activations"
    }  # fmt: skip


@pytest.mark.parametrize("fields", [{"scheme": "s16"}, {"samples": 0}, {"sheme": "u8s8"}])
def test_fields_that_cannot_be_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        QuantizeInt8.model_validate(fields)
