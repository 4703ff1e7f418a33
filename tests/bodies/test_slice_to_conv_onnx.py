"""Shortcuts of residual networks in their several spellings, and what is none."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from passes_bench import RunPass, network, parsed, samples

from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.passes.slice_to_conv_onnx import SliceToConv
from edgeopt.schema.errors import PassError

X = np.random.default_rng(0).normal(size=(3, 4, 9, 7)).astype(np.float32)
ZERO, LAST = [0], [2**63 - 1]
BOTH = """net (float[batch, 4, 9, 7] x) => (float[batch, 8, h, w] y) {
    s = Slice(x, starts, ends, axes, steps)
    p = Pad(s, pads, none)
    c = Conv<strides=[2, 2], kernel_shape=[1, 1]>(x, w)
    y = Add(c, p)
}"""
TWO_SLICES = """net (float[batch, 4, 9, 7] x) => (float[batch, 8, h, w] y) {
    r = Slice(x, zero, last, rows, two)
    s = Slice(r, zero, last, columns, two)
    p = Pad(s, pads, none, channel)
    c = Conv<strides=[2, 2], kernel_shape=[1, 1]>(x, w)
    y = Add(c, p)
}"""
PAD_FIRST = """net (float[batch, 4, 9, 7] x) => (float[batch, 8, h, w] y) {
    p = Pad(x, pads)
    s = Slice(p, starts, ends, axes, steps)
    c = Conv<strides=[2, 2], kernel_shape=[1, 1]>(x, w)
    y = Add(c, s)
}"""
HELD = {"w": (8, 4, 1, 1), "none": np.float32(0)}
SLICE = {"starts": [0, 0], "ends": [9, 2**31], "axes": [2, -1], "steps": [2, 2]}
FULL = [0, 1, 0, 0, 0, 3, 0, 0]


def built(text: str, *, opset: int = 18, **held: object) -> onnx.ModelProto:
    return parsed(text, opset=opset, **{**HELD, **held})


def answers(model: onnx.ModelProto) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": X})[0])


@pytest.mark.parametrize(
    "model",
    [
        built(BOTH, pads=FULL, **SLICE),
        built(TWO_SLICES, pads=[2, 2], channel=[1], zero=ZERO, last=LAST, rows=[2], columns=[3],
              two=[2]),
        built(PAD_FIRST, pads=FULL, **SLICE),
    ],
)  # fmt: skip
def test_a_shortcut_becomes_one_convolution_with_the_same_answers(
    model: onnx.ModelProto, run_pass: RunPass
) -> None:
    made = run_pass(SliceToConv(), model)
    assert Counter(n.op_type for n in made.model.graph.node) == {"Conv": 2, "Add": 1}
    np.testing.assert_allclose(made.run({"x": X})[0], answers(model), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "changed",
    [
        {"starts": [1, 0], "ends": [9, 7]},  # conv has no offset
        {"ends": [8, 7]},  # the last row is cut off
        {"steps": [1, 1], "pads": FULL},  # pads alone are no stride
        {"pads": [0, 2, 0, 0, 0, 2, 0, 0], "none": np.float32(1)},  # of ones
    ],
)
def test_what_a_convolution_cannot_say_stays(changed: dict[str, object], run_pass: RunPass) -> None:
    held = {"pads": FULL, **SLICE, **changed}
    text = BOTH
    if changed.get("starts") or changed.get("ends") or changed.get("steps"):
        text = text.replace("c = Conv<strides=[2, 2], kernel_shape=[1, 1]>(x, w)\n", "").replace(
            "y = Add(c, p)", "y = Relu(p)"
        )
    made = run_pass(SliceToConv(), built(text, **held))
    assert {"Slice", "Pad"} <= {n.op_type for n in made.model.graph.node}
    assert "no strided Slice" in made.found["notes"][0]


def test_a_value_that_others_read_too_stays(run_pass: RunPass) -> None:
    text = BOTH.replace("y = Add(c, p)", "q = Pad(s, pads, none)\n y = Add(p, q)").replace(
        "c = Conv<strides=[2, 2], kernel_shape=[1, 1]>(x, w)", ""
    )
    made = run_pass(SliceToConv(), built(text, pads=FULL, **SLICE))
    assert "Slice" in {n.op_type for n in made.model.graph.node}


def test_quantized_it_is_an_integer_convolution(run_pass: RunPass) -> None:
    model = run_pass(SliceToConv(), built(BOTH, pads=FULL, **SLICE)).model
    made = run_pass(QuantizeInt8(scheme="u8s8", float_stem=False), model, x=X)
    convs = [n for n in made.model.graph.node if n.op_type == "Conv"]
    makers = {o: n.op_type for n in made.model.graph.node for o in n.output}
    assert len(convs) == 2
    assert all(makers[name] == "DequantizeLinear" for n in convs for name in n.input[:2])


def test_float16_and_quantized_models_are_refused(run_pass: RunPass) -> None:
    made = run_pass(QuantizeInt8(scheme="u8s8"), network(), x=samples())
    with pytest.raises(PassError, match="float32"):
        SliceToConv().requires(made.description)
