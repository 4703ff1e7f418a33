"""Every ONNX pass on every kind of file: sound, as predicted, close to its parent."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from passes_bench import MODEL, RunPass, close_enough, network, samples

from edgeopt.bodies.quantize_int8_onnx import stem
from edgeopt.formats.onnx.describe import quantized_weights
from edgeopt.passes.fp16_onnx import Fp16
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.passes.simplify_onnx import SimplifyOnnx
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import DataError, PassError
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import SCHEMES
from edgeopt.step import Pass

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "opset 11, IR 3, initializers as inputs": {"opset": 11, "ir": 3, "inputs_too": True},
    "weights as constants": {"constants": True},
    "batch fixed to one": {"batch": 1},
    "batch fixed to four": {"batch": 4},
    "grouped convolution": {"groups": 2},
}
PASSES: list[tuple[Pass, float]] = [
    (SimplifyOnnx(), 100.0),
    (Fp16(), 50.0),
    *((QuantizeInt8(scheme=scheme), 15.0) for scheme in SCHEMES),
]


@pytest.mark.parametrize(("step", "sqnr_db"), PASSES, ids=lambda v: getattr(v, "label", ""))
@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_keeps_the_border_and_comes_close_to_its_parent(
    run_pass: RunPass, step: Pass, sqnr_db: float, kind: str
) -> None:
    source = network(**KINDS[kind])
    made = run_pass(step, source, x=samples())
    identity = run_pass(SimplifyOnnx(), source)
    batch = KINDS[kind].get("batch", 6)
    feeds = {"x": samples(batch)}
    (got,), (before,) = made.run(feeds), identity.run(feeds)
    assert got.dtype == np.float32 and got.shape == (batch, 5)
    assert close_enough(before, got, sqnr_db)
    assert [i.name for i in made.model.graph.input] == ["x"]
    assert [o.name for o in made.model.graph.output] == ["y"]
    assert made.model.doc_string == "" and not made.model.producer_version


@pytest.mark.parametrize("step", [step for step, _ in PASSES], ids=lambda step: step.label)
def test_equal_inputs_give_equal_bytes(run_pass: RunPass, step: Pass) -> None:
    first, again = (run_pass(step, network(), x=samples()) for _ in range(2))
    assert first.path.read_bytes() == again.path.read_bytes()


def test_simplify_pools_means(run_pass: RunPass) -> None:
    made = run_pass(SimplifyOnnx(), network(constants=True))
    count = Counter(node.op_type for node in made.model.graph.node)
    assert count["GlobalAveragePool"] == 1
    assert not count["ReduceMean"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_and_activations_have_the_types_of_the_scheme(
    run_pass: RunPass, scheme: str
) -> None:
    made = run_pass(QuantizeInt8(scheme=scheme), network(), x=samples())
    held = {t.name: numpy_helper.to_array(t) for t in made.model.graph.initializer}
    weights = [held[c] for c in held if held[c].ndim == 4 and held[c].dtype != np.float32]
    assert len(weights) == 2 and {str(w.dtype) for w in weights} == {SCHEMES[scheme].weight}
    largest = max(int(np.abs(w.astype(int)).max()) for w in weights)
    assert largest <= 64 if SCHEMES[scheme].reduce_range else largest >= 126
    zero_points = {
        str(held[node.input[2]].dtype)
        for node in made.model.graph.node
        if node.op_type == "QuantizeLinear"
    }
    assert SCHEMES[scheme].activation in zero_points


@pytest.mark.parametrize("per_channel", [True, False])
def test_scales_are_per_channel_where_asked(run_pass: RunPass, per_channel: bool) -> None:
    step = QuantizeInt8(scheme="u8s8", per_channel=per_channel)
    made = run_pass(step, network(), x=samples())
    held = {t.name: numpy_helper.to_array(t) for t in made.model.graph.initializer}
    scales = [
        held[node.input[1]]
        for node in made.model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in held
        and held[node.input[0]].ndim == 4
    ]  # fmt: skip
    assert {s.size for s in scales} == ({16} if per_channel else {1})


def test_only_short_first_convolutions_stay_in_float(run_pass: RunPass) -> None:
    def quantized(float_stem: bool) -> int:
        step = QuantizeInt8(scheme="u8s8", float_stem=float_stem)
        arrays = {"image": np.zeros((4, 1, 28, 28), np.float32)}
        return len(quantized_weights(run_pass(step, onnx.load(MODEL), **arrays).model))

    assert quantized(False) == quantized(True) + 1
    assert stem(network()) == []


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
    with pytest.raises(PassError, match="'auto' stands for"):
        QuantizeInt8().run(network(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [step for step, _ in PASSES], ids=lambda step: step.label)
def test_a_quantized_model_is_refused_with_the_reason(run_pass: RunPass, step: Pass) -> None:
    made = run_pass(QuantizeInt8(scheme="u8s8"), network(), x=samples())
    with pytest.raises(PassError, match="quantized"):
        step.requires(made.description)


def test_a_float16_model_is_refused_with_the_reason(run_pass: RunPass) -> None:
    made = run_pass(Fp16(), network())
    for step in (Fp16(), QuantizeInt8(scheme="u8s8")):
        with pytest.raises(PassError, match="float16"):
            step.requires(made.description)


def test_data_that_does_not_fit_is_named(run_pass: RunPass) -> None:
    step = QuantizeInt8(scheme="u8s8")
    with pytest.raises(DataError, match="no calibration data for the model's input 'x'"):
        run_pass(step, network(), other=samples())
    with pytest.raises(DataError, match="too few calibration samples"):
        run_pass(step, network(batch=4), x=samples(3))


def test_a_model_without_weights_has_nothing_to_quantize(run_pass: RunPass) -> None:
    model = network()
    del model.graph.node[:]
    model.graph.node.append(onnx.helper.make_node("GlobalAveragePool", ["x"], ["p"]))
    model.graph.node.append(onnx.helper.make_node("Flatten", ["p"], ["y"]))
    del model.graph.initializer[:]
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 8
    with pytest.raises(PassError, match="no operator with weights"):
        run_pass(QuantizeInt8(scheme="u8s8"), model, x=samples())
