"""Weights that could overflow a 16-bit pair are found, and made safe without touching the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgeopt.formats.onnx.saturation import LARGEST_PAIR, make_safe, risky_channels, weights

OUT, IN, SIDE = 6, 3, 5


def quantized(values: np.ndarray, op: str, bias: np.ndarray | None = None) -> onnx.ModelProto:
    """``op`` of a uint8 activation and int8 weights with a scale a channel, in QDQ form."""
    axis = 0 if op == "Conv" else 1
    other = tuple(i for i in range(values.ndim) if i != axis)
    scales = (np.abs(values).max(axis=other) / 127).astype(np.float32)
    shape = [-1 if i == axis else 1 for i in range(values.ndim)]
    codes = np.round(values / scales.reshape(shape)).astype(np.int8)
    held = {
        "w_quantized": codes, "w_scale": scales, "w_zero_point": np.zeros(len(scales), np.int8),
        "x_scale": np.float32(1 / 255), "x_zero": np.uint8(0),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "x_scale", "x_zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w_quantized", "w_scale", "w_zero_point"], ["w"],
                         axis=axis),
    ]  # fmt: skip
    inputs = ["xd", "w"]
    if bias is not None:
        held["b_scale"] = scales / np.float32(255)
        held["b_quantized"] = np.round(bias / held["b_scale"]).astype(np.int32)
        held["b_zero"] = np.zeros(len(scales), np.int32)
        nodes.append(helper.make_node("DequantizeLinear", ["b_quantized", "b_scale", "b_zero"],
                                      ["b"], axis=0))  # fmt: skip
        inputs.append("b")
    nodes.append(helper.make_node(op, inputs, ["y"]))
    x = ["n", IN, SIDE, SIDE] if op == "Conv" else ["n", len(values)]
    rest = ["c", "h", "w"] if op == "Conv" else ["c"]
    graph = helper.make_graph(
        nodes, "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", *rest])],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in held.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answers(model: onnx.ModelProto, x: np.ndarray) -> Any:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def pairs(model: onnx.ModelProto) -> np.ndarray:
    """The largest |w0 + w1| in the order (kh, kw, channel), channel by channel, by hand."""
    codes = next(numpy_helper.to_array(t) for t in model.graph.initializer
                 if t.name == "w_quantized").astype(int)  # fmt: skip
    rows = codes.transpose(0, 2, 3, 1).reshape(len(codes), -1) if codes.ndim == 4 else codes.T
    found = []
    for row in rows:
        row = [*row, 0]
        found.append(max(abs(row[i] + row[i + 1]) for i in range(0, len(row) - 1, 2)))
    return np.array(found)


@given(seed=st.integers(0, 1000), op=st.sampled_from(["Conv", "MatMul"]))
def test_no_pair_can_overflow_and_sound_channels_stay(seed: int, op: str) -> None:
    rng = np.random.default_rng(seed)
    shape = (OUT, IN, 3, 3) if op == "Conv" else (31, OUT)
    values = rng.standard_normal(shape).astype(np.float32)
    model = quantized(values, op)
    before, held = pairs(model), {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    risky = before > LARGEST_PAIR
    assert risky_channels(model) == ({"w_quantized": int(risky.sum())} if risky.any() else {})
    assert make_safe(model, {"w": values}) == int(risky.sum())
    assert (pairs(model) <= LARGEST_PAIR).all() and risky_channels(model) == {}
    after = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    axis = 0 if op == "Conv" else 1
    same = np.flatnonzero(~risky)
    np.testing.assert_array_equal(
        after["w_quantized"].take(same, axis), held["w_quantized"].take(same, axis)
    )
    np.testing.assert_array_equal(after["w_scale"][same], held["w_scale"][same])
    assert (after["w_scale"][risky] > held["w_scale"][risky]).all()
    shape_of = [-1 if i == axis else 1 for i in range(values.ndim)]
    steps = np.abs(after["w_quantized"] * after["w_scale"].reshape(shape_of) - values)
    assert (steps <= 0.51 * after["w_scale"].reshape(shape_of)).all(), "rounded, never clipped"


@pytest.mark.parametrize("known", [True, False], ids=["floats", "codes alone"])
def test_answers_and_biases_stay_close(known: bool) -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((OUT, IN, 3, 3)).astype(np.float32)
    bias = rng.standard_normal(OUT).astype(np.float32)
    model = quantized(values, "Conv", bias)
    x = rng.random((4, IN, SIDE, SIDE)).astype(np.float32)
    before = answers(model, x)
    assert make_safe(model, {"w": values} if known else {}) > 0
    onnx.checker.check_model(model, full_check=True)
    apart = np.abs(answers(model, x) - before).max() / np.abs(before).max()
    assert apart < 0.03
    assert [w.name for w in weights(model)] == ["w_quantized"]
