"""Weights alone, quantized before a graph runs: what shrinks, what stays float, how near it is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper, parser

from edgeopt.formats.onnx.describe import describe
from edgeopt.models import kind
from edgeopt.quantization import forms_onnx as forms
from edgeopt.quantization import weights_onnx
from edgeopt.schema.artifact import DYNAMIC

IDS = np.random.default_rng(2).integers(0, 50, size=(3, 5))
NEAR = {"dynamic": 0.04, "weight-only": 0.02, "int4": 0.2}  # of the largest answer


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def graph(text: str, opset: int = 17, **held: np.ndarray) -> onnx.ModelProto:
    made = parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g {text}')
    made.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in held.items())
    onnx.checker.check_model(made)
    forms.name_nodes(made)
    return onnx.shape_inference.infer_shapes(made)


def answer(made: onnx.ModelProto, **feeds: Any) -> np.ndarray:
    found: np.ndarray = ort.InferenceSession(made.SerializeToString()).run(None, feeds)[0]
    return found


def operators(made: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in made.graph.node]


def held_in(made: onnx.ModelProto, *types: int) -> dict[str, list[int]]:
    return {t.name: list(t.dims) for t in made.graph.initializer if t.data_type in types}


def close(made: onnx.ModelProto, before: np.ndarray, form: str, **feeds: Any) -> None:
    gap = np.abs(answer(made, **feeds) - before).max()
    assert 0 < gap <= NEAR[form] * np.abs(before).max()


def perceptron() -> onnx.ModelProto:
    text = "(float[3,64] x) => (float[3,40] y) { a = Gemm<transB=1, alpha=0.5>(x, w, b)"
    text += "\n c = Relu(a)\n y = Gemm<beta=2.0>(c, v, d) }"
    held = {"w": normal(48, 64), "b": normal(48), "v": normal(48, 40), "d": normal(40)}
    return graph(text, **held)


def reader() -> onnx.ModelProto:
    """A lookup table, and a product."""
    text = "(int64[3,5] ids) => (float[3,5,64] y) { a = Gather(table, ids)\n y = MatMul(a, w) }"
    return graph(text, table=normal(50, 32), w=normal(32, 64, seed=1))


def recurrent(op: str, gates: int) -> onnx.ModelProto:
    text = f"(float[7,2,16] x) => (float[2,8] y) {{ a, h = {op}<hidden_size=32>(x, w, r)"
    text += "\n s = Squeeze(h, zero)\n y = MatMul(s, v) }"
    held = {"w": normal(1, gates * 32, 16), "r": 0.3 * normal(1, gates * 32, 32, seed=1),
            "v": normal(32, 8), "zero": np.zeros(1, np.int64)}  # fmt: skip
    return graph(text, **held)


def test_a_gemm_becomes_a_product_and_a_sum() -> None:
    made, x = perceptron(), normal(3, 64, seed=5)
    before = answer(made, x=x)
    forms.products(made)
    assert operators(made) == ["MatMul", "Add", "Relu", "MatMul", "Add"]
    np.testing.assert_allclose(answer(made, x=x), before, rtol=1e-4, atol=1e-4)
    assert len(made.graph.initializer) == 4  # those of before are gone


def test_one_matrix_of_two_gemms_is_written_once() -> None:
    text = (
        "(float[4,6] x) => (float[4,6] y) { a = Gemm<transB=1>(x, w)\n y = Gemm<transB=1>(a, w) }"
    )
    made, x = graph(text, w=normal(6, 6)), normal(4, 6)
    before = answer(made, x=x)
    forms.products(made)
    assert len(made.graph.initializer) == 1
    np.testing.assert_allclose(answer(made, x=x), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("nodes", ["y = Gemm<transA=1>(x, w)", "y = Gemm<beta=0.5>(x, w, x)"])
def test_a_gemm_that_is_no_plain_product_stays(nodes: str) -> None:
    made = graph(f"(float[6,6] x) => (float[6,6] y) {{ {nodes} }}", w=normal(6, 6))
    forms.products(made)
    assert operators(made) == ["Gemm"]


@pytest.mark.parametrize("reduced", [False, True])
def test_dynamic_quantizes_products_behind_each_gemm(tmp_path: Path, reduced: bool) -> None:
    made, x = perceptron(), normal(3, 64, seed=5)
    before = answer(made, x=x)
    made, left = weights_onnx.dynamic(made, tmp_path, per_channel=True, reduced=reduced)
    assert operators(made).count("MatMulInteger") == 2 and not left
    assert sorted(held_in(made, onnx.TensorProto.INT8).values()) == sorted(
        [[48, 40], [64, 48], [48], [40]]  # codes, and a zero point for each channel
    )
    codes = [numpy_helper.to_array(t) for t in made.graph.initializer if len(t.dims) == 2]
    assert max(np.abs(each).max() for each in codes) <= (64 if reduced else 127)
    if reduced:  # else 16-bit sums saturate where a CPU has no VNNI
        close(made, before, "dynamic", x=x)
    said = describe(made, "here")
    assert {"int8", DYNAMIC} <= said.facts and "qdq" not in said.facts


def test_dynamic_quantizes_lookup_tables_and_lstms(tmp_path: Path) -> None:
    made = reader()
    before = answer(made, ids=IDS)
    made, _ = weights_onnx.dynamic(made, tmp_path, per_channel=True, reduced=True)
    assert [50, 32] in held_in(made, onnx.TensorProto.INT8, onnx.TensorProto.UINT8).values()
    close(made, before, "dynamic", ids=IDS)
    made, x = recurrent("LSTM", 4), normal(7, 2, 16, seed=3)
    before = answer(made, x=x)
    made, _ = weights_onnx.dynamic(made, tmp_path, per_channel=True, reduced=True)
    assert "DynamicQuantizeLSTM" in operators(made) and "LSTM" not in operators(made)
    close(made, before, "dynamic", x=x)


def test_a_gru_shrinks_though_no_operator_computes_it_in_integers(tmp_path: Path) -> None:
    made, x = recurrent("GRU", 3), normal(7, 2, 16, seed=3)
    before, size = answer(made, x=x), made.ByteSize()
    made, _ = weights_onnx.dynamic(made, tmp_path, per_channel=True, reduced=True)
    assert {"GRU", "DequantizeLinear", "MatMulInteger"} <= set(operators(made))
    assert made.ByteSize() < 0.45 * size
    close(made, before, "dynamic", x=x)


def test_an_lstm_whose_axes_lie_otherwise_stays_and_is_named(tmp_path: Path) -> None:
    text = (
        "(float[2,7,16] x) => (float[2,1,32] h) { a, h = LSTM<hidden_size=32, layout=1>(x, w, r) }"
    )
    made = graph(text, w=normal(1, 128, 16), r=normal(1, 128, 32))
    node = made.graph.node[0].name
    made, left = weights_onnx.dynamic(made, tmp_path, per_channel=True, reduced=False)
    assert operators(made) == ["LSTM"] and node in left[0]


@pytest.mark.parametrize("per_channel", [True, False])
def test_weight_only_widens_every_weight_that_is_worth_it(per_channel: bool) -> None:
    text = (
        "(float[1,4,9,9] x) => (float[1,8] y) { a = Conv<pads=[1,1,1,1]>(x, c, b)\n"
        "t = ConvTranspose(a, d)\n p = GlobalAveragePool(t)\n f = Flatten(p)\n"
        "z = Gemm<transB=1>(f, g)\n y = Mul(z, s) }"
    )
    held = {"c": normal(32, 4, 3, 3), "b": normal(32), "d": normal(32, 40, 2, 2),
            "g": normal(8, 40), "s": np.float32(2.0).reshape(())}  # fmt: skip
    made, x = graph(text, **held), normal(1, 4, 9, 9, seed=4)
    before = answer(made, x=x)
    made = weights_onnx.weight_only(made, per_channel=per_channel)
    assert operators(made).count("DequantizeLinear") == 2  # g has too few, b is a bias
    scales = sorted(held_in(made, onnx.TensorProto.FLOAT).items())
    sizes = {name: dims for name, dims in scales if name.endswith("_scale")}
    assert sizes == ({"c_scale": [32], "d_scale": [40]} if per_channel else
                     {"c_scale": [], "d_scale": []})  # fmt: skip
    close(made, before, "weight-only", x=x)
    assert "qdq" not in describe(made, "here").facts


def test_weight_only_looks_codes_up_and_widens_what_it_found() -> None:
    made = reader()
    before = answer(made, ids=IDS)
    made = weights_onnx.weight_only(made, per_channel=True)
    assert operators(made)[:2] == ["Gather", "DequantizeLinear"]
    close(made, before, "weight-only", ids=IDS)


@pytest.mark.parametrize(("op", "gates"), [("GRU", 3), ("LSTM", 4)])
def test_weight_only_takes_recurrent_layers(op: str, gates: int) -> None:
    made, x = recurrent(op, gates), normal(7, 2, 16, seed=3)
    before = answer(made, x=x)
    made = weights_onnx.weight_only(made, per_channel=True)
    assert op in operators(made) and operators(made).count("DequantizeLinear") == 2
    close(made, before, "weight-only", x=x)


def test_a_weight_that_two_read_is_widened_once() -> None:
    text = "(float[2,40] x) => (float[2,40] y) { a = MatMul(x, w)\n y = MatMul(a, w) }"
    made, x = graph(text, w=normal(40, 40)), normal(2, 40)
    before = answer(made, x=x)
    made = weights_onnx.weight_only(made, per_channel=True)
    assert operators(made) == ["DequantizeLinear", "MatMul", "MatMul"]
    close(made, before, "weight-only", x=x)


def test_a_channel_of_zeros_stays_zero() -> None:
    w = normal(40, 40)
    w[:, 3] = 0
    made = graph("(float[2,40] x) => (float[2,40] y) { y = MatMul(x, w) }", w=w)
    made = weights_onnx.weight_only(made, per_channel=True)
    found = answer(made, x=normal(2, 40))
    np.testing.assert_allclose(found[:, 3], 0, atol=1e-3)  # ONNX Runtime multiplies codes


@pytest.mark.parametrize("symmetric", [False, True])
def test_blocks_of_four_bits(symmetric: bool) -> None:
    made = reader()
    before, size = answer(made, ids=IDS), made.ByteSize()
    made = weights_onnx.blocked(
        made, bits=4, block=16, symmetric=symmetric, operators=True, level=0
    )
    assert "MatMulNBits" in operators(made) and "MatMul" not in operators(made)
    close(made, before, "int4", ids=IDS)
    assert describe(made, "here").facts >= {"int4"} and made.ByteSize() < 0.5 * size


def test_blocks_of_opset_21() -> None:
    made, x = perceptron(), normal(3, 64, seed=5)
    before = answer(made, x=x)
    made.opset_import[0].version, made.ir_version = 21, 10
    made = weights_onnx.blocked(made, bits=4, block=16, symmetric=True, operators=False, level=0)
    assert operators(made).count("DequantizeLinear") == 2
    assert set(held_in(made, onnx.TensorProto.INT4).values().__iter__().__next__()) == {64, 48}
    close(made, before, "int4", x=x)
    assert "int4" in describe(made, "here").facts


def test_the_quantizer_of_blocks_leaves_logging_as_it_was() -> None:
    level = logging.getLogger().level
    weights_onnx.blocked(reader(), bits=4, block=32, symmetric=True, operators=True, level=4)
    assert logging.getLogger().level == level


def test_the_kind_of_a_network_is_where_its_weights_are() -> None:
    assert describe(perceptron(), "here").kind == kind.LINEAR
    assert describe(recurrent("GRU", 3), "here").kind == kind.RECURRENT
    assert kind.by_names({"a.conv.weight": (8, 3, 3, 3), "fc.weight": (4, 8)}.items()) == (
        kind.CONVOLUTIONAL
    )
    cell = {"lstm/cell/kernel": (8, 64), "lstm/cell/recurrent_kernel": (16, 64), "d/kernel": (9, 9)}
    assert kind.by_names(cell.items()) == kind.RECURRENT
    assert kind.by_names({"embedding.weight": (1000, 8), "b": (8,)}.items()) == ""


def test_products_whose_inputs_have_outliers_stay_float_and_are_named(tmp_path: Path) -> None:
    text = "(float[64,64] x, float[64,64] u) => (float[64,40] y)"
    text += " { a = MatMul(x, w)\n b = MatMul(u, v)\n y = Add(a, b) }"
    made = graph(text, w=normal(64, 40), v=normal(64, 40, seed=1))
    first, second = (node.name for node in made.graph.node if node.op_type == "MatMul")
    feeds = [{"x": normal(64, 64, seed=seed), "u": normal(64, 64, seed=9)} for seed in range(4)]
    for feed in feeds:
        feed["u"][5, 7] = 300.0
    ratios = {n: each.db for n, each in weights_onnx._inputs_seen(made, feeds).items()}
    assert ratios[first] > 35  # of a normal distribution over 8 of its standard deviations
    step = (300 - feeds[0]["u"].min()) / 255
    assert ratios[second] == pytest.approx(
        10 * np.log10((feeds[0]["u"] ** 2).mean() / (step**2 / 12)), abs=0.1
    )
    made, left = weights_onnx.dynamic(
        made, tmp_path, per_channel=True, reduced=True, feeds=feeds, least_db=30.0
    )
    assert operators(made).count("MatMulInteger") == 1 and operators(made).count("MatMul") == 1
    assert len(left) == 1 and second in left[0] and "outliers" in left[0]


def test_uneven_channels_are_evened_out_and_all_products_stay_integer_ones(tmp_path: Path) -> None:
    """One channel is 100 times as large as the others in some rows, as in transformers."""
    text = "(float[64,64] x) => (float[64,40] y) { y = MatMul(x, w) }"
    x, w = normal(64, 64), normal(64, 40, seed=1)
    x[::16, 7] *= 100
    w[7] /= 100

    def off(smooth_db: float) -> float:
        made = graph(text, w=w)
        right = answer(made, x=x)
        made, left = weights_onnx.dynamic(
            made, tmp_path, per_channel=True, reduced=False, feeds=[{"x": x}], smooth_db=smooth_db
        )
        assert operators(made).count("MatMulInteger") == 1 and not left
        return float(np.linalg.norm(answer(made, x=x) - right) / np.linalg.norm(right))

    assert off(30.0) < 0.5 * off(0.0)
