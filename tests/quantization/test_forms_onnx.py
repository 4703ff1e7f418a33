"""Layers in the forms that the quantizer reads right: the same answers, in other words."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper, parser

from edgeopt.quantization import forms_onnx as forms

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def model(nodes: str, **held: Any) -> onnx.ModelProto:
    made = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[4,6] x) => (float[n,m] y) {{ {nodes} }}'
    )
    arrays = {name: np.asarray(values, np.float32) for name, values in held.items()}
    made.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in arrays.items())
    return made


def answers(made: onnx.ModelProto) -> np.ndarray:
    onnx.checker.check_model(made)
    return np.asarray(ort.InferenceSession(made.SerializeToString()).run(None, {"x": X})[0])


def weight(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def test_a_third_input_becomes_one_row_or_an_add() -> None:
    for bias, row in ((3.0, 3), ([1.0], 3), ([[1.0, 2.0, 3.0]], 3), (weight(4, 1), None)):
        made = model("y = Gemm<beta=0.5>(x, w, b)", w=weight(6, 3), b=bias)
        before = answers(made)
        forms.plain_gemms(made)
        np.testing.assert_allclose(answers(made), before, rtol=1e-6)
        assert [node.op_type for node in made.graph.node] == ["Gemm"] + ["Add"] * (row is None)
        gemm = made.graph.node[0]
        assert not [a for a in gemm.attribute if a.name == "beta"]
        held = {t.name: list(t.dims) for t in made.graph.initializer}
        assert len(gemm.input) == 2 if row is None else held[gemm.input[2]] == [row]


def test_a_row_and_what_is_computed_stay() -> None:
    for nodes in ("y = Gemm(x, w, b)", "c = Mul(b, b)\n y = Gemm<beta=0.5>(x, w, c)"):
        made = model(nodes, w=weight(6, 3), b=weight(3))
        before = made.SerializeToString(deterministic=True)
        forms.plain_gemms(made)
        assert made.SerializeToString(deterministic=True) == before


def test_a_weight_is_copied_for_each_further_axis_only() -> None:
    nodes = "a = MatMul(x, w)\n b = MatMul(a, w)\n c = Gemm<transB=1>(b, w)\n y = Add(c, w)"
    made = model(nodes.replace("Add(c, w)", "Add(c, s)"), w=weight(6, 6), s=1.0)
    before = answers(made)
    assert forms.one_axis_each(made, per_channel=True) == []
    assert [list(n.input)[1] for n in made.graph.node] == ["w", "w", "w_2", "s"]
    np.testing.assert_array_equal(answers(made), before)
    assert forms.one_axis_each(made, per_channel=True) == []  # nothing more to copy
    assert len(made.graph.initializer) == 3


def test_without_scales_by_channel_nothing_is_copied() -> None:
    made = model("a = MatMul(x, w)\n y = Gemm<transB=1>(a, w)", w=weight(6, 6))
    assert forms.one_axis_each(made, per_channel=False) == []
    assert len(made.graph.initializer) == 1


def test_grouped_transposed_convolutions_have_one_scale() -> None:
    made = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1,4,3,3] x) => (float[1,4,5,5] y)'
        " { a = ConvTranspose<group=2>(x, w)\n b = ConvTranspose<group=2>(x, v)\n y = Add(a, b) }"
    )
    made.graph.initializer.extend(
        numpy_helper.from_array(weight(4, 2, 3, 3), name) for name in ("w", "v")
    )
    assert forms.one_axis_each(made, per_channel=True) == ["w", "v"]


def test_every_node_gets_a_name_of_its_own() -> None:
    made = model("[a] a = Relu(x)\n [a] b = Relu(a)\n c = Relu(b)\n [Relu_2] y = Relu(c)")
    forms.name_nodes(made)
    names = [node.name for node in made.graph.node]
    assert names[0] == "a" and names[3] == "Relu_2" and len(set(names)) == 4


def test_nodes_stand_behind_what_their_bodies_read() -> None:
    made = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[4,6] x, bool k) => (float[4,6] y)'
        " { a = Relu(x)\n b = Neg(x)\n y = If(k) <then_branch = f () => (float[4,6] t)"
        " { t = Add(a, b) }, else_branch = g () => (float[4,6] e) { e = Identity(x) }> }"
    )
    relu, neg, choice = made.graph.node
    shuffled = [onnx.NodeProto.FromString(n.SerializeToString()) for n in (relu, choice, neg)]
    del made.graph.node[:]
    made.graph.node.extend(shuffled)
    forms.put_in_order(made)
    onnx.checker.check_model(made)
    assert [node.op_type for node in made.graph.node] == ["Relu", "Neg", "If"]
