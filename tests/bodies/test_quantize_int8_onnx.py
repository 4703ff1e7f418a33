"""INT8 of ONNX files: types, scales, what stays in float, and what is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from passes_bench import MODEL, RunPass, network, noise_db, parsed, samples

from edgeopt.bodies.quantize_int8_onnx import shaped, stem
from edgeopt.formats.onnx.describe import quantized_weights
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.schema.errors import DataError, PassError
from edgeopt.schemes import SCHEMES


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
        arrays = {"image": np.random.default_rng(0).random((4, 1, 28, 28), np.float32)}
        return len(quantized_weights(run_pass(step, onnx.load(MODEL), **arrays).model))

    assert quantized(False) == quantized(True) + 1
    assert stem(network()) == []


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


SAFE = QuantizeInt8(scheme="u8s8-safe", float_stem=False)  # no sum of it saturates on any CPU
ROWS = np.random.default_rng(2).normal(size=(16, 16)).astype(np.float32)
LAYERS = {  # what a layer is like: its graph, its initializers, how many weights become 8 bits
    "grouped transposed convolution": (
        """g (float[batch,8,12,12] x) => (float[batch,8,14,14] y) {
        c = Conv<pads=[1,1,1,1]>(x, w)
        y = ConvTranspose<group=4>(c, t, b) }""",
        {"w": (8, 8, 3, 3), "t": (8, 2, 3, 3), "b": (8,)},
        2,
    ),
    "weight along both axes": (
        "g (float[batch,16] x) => (float[batch,16] y) { a = Gemm<transB=1>(x, w, b)\n"
        "r = Relu(a)\n y = Gemm(r, w, c) }",
        {"w": (32, 16), "b": (32,), "c": (16,)},
        2,
    ),
    "weight along both axes, square": (
        "g (float[batch,16] x) => (float[batch,16] y) { a = Gemm<transB=1>(x, w, b)\n"
        "r = Relu(a)\n y = MatMul(r, w) }",
        {"w": np.geomspace(0.01, 1.0, 16, dtype=np.float32)[:, None] * ROWS, "b": (16,)},
        2,
    ),
    "weight of convolutions to and fro": (
        "g (float[batch,8,12,12] x) => (float[batch,8,12,12] y) { a = Conv(x, w)\n"
        "r = Relu(a)\n y = ConvTranspose(r, w) }",
        {"w": (16, 8, 3, 3)},
        2,
    ),
    "bias that is computed": (
        "g (float[batch,16] x) => (float[batch,8] y) { s = MatMul(x, v)\n y = Gemm(x, w, s) }",
        {"w": (16, 8), "v": (16, 8)},
        2,
    ),
    "bias of two axes": (
        "g (float[batch,16] x) => (float[batch,8] y) { y = Gemm(x, w, b) }",
        {"w": (16, 8), "b": (1, 8)},
        1,
    ),
    "bias of one number": (
        "g (float[batch,16] x) => (float[batch,8] y) { y = Gemm(x, w, b) }",
        {"w": (16, 8), "b": np.float32(2.0)},
        1,
    ),
    "bias that differs from sample to sample": (
        "g (float[batch,16] x) => (float[16,8] y) { y = Gemm(x, w, b) }",
        {"w": (16, 8), "b": (16, 8)},
        1,
    ),
    "bias with a factor": (
        "g (float[batch,16] x) => (float[batch,8] y) { y = Gemm<beta=2.0>(x, w, b) }",
        {"w": (16, 8), "b": np.linspace(-2, 2, 8, dtype=np.float32)},
        1,
    ),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_of_every_form_are_quantized(run_pass: RunPass, layer: str) -> None:
    text, held, count = LAYERS[layer]
    model = parsed(text, **held)
    x = samples() if "12,12] x" in text else ROWS
    made = run_pass(SAFE, model, x=x)
    weights = [w for w in quantized_weights(made.model) if w.dtype == onnx.TensorProto.INT8]
    assert len(weights) == count
    assert noise_db(model, made, x) > 30


TABLE = """g (int64[batch,6] x) => (float[batch,30] y) {
    e = Gather(w, x)
    m = ReduceMean<axes=[1],keepdims=0>(e)
    y = Gemm<transB=1>(m, w, b) }"""


def test_a_table_that_is_also_a_layer_has_a_scale_of_each_kind(run_pass: RunPass) -> None:
    model, x = parsed(TABLE, w=(30, 16), b=(30,)), np.arange(60).reshape(10, 6) % 30
    made = run_pass(SAFE, model, x=x)
    assert noise_db(model, made, x) > 30


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("opset", [9, 10])
def test_old_opsets_are_lifted_and_sample_where_they_did(
    run_pass: RunPass, opset: int, mode: str
) -> None:
    grow = {9: "Upsample", 10: "Resize"}[opset]
    model = parsed(
        f"""g (float[batch,8,12,12] x) => (float[batch,8,h,k] y) {{
        c = Conv<pads=[1,1,1,1]>(x, w)
        s = Constant<value=float[4] {{1.0,1.0,2.0,1.5}}>()
        y = {grow}<mode="{mode}">(c, s) }}""",
        opset=opset,
        w=(8, 8, 3, 3),
    )
    made = run_pass(SAFE, model, x=samples())
    assert next(e.version for e in made.model.opset_import if not e.domain) >= 13
    assert noise_db(model, made, samples()) > 30


def test_an_opset_that_cannot_be_lifted_is_to_be_exported_anew(run_pass: RunPass) -> None:
    by_place = (8, 12, 12)  # scales of a norm for each place: gone with opset 9
    text = """g (float[batch,8,12,12] x) => (float[batch,8,12,12] y) {
        c = Conv<pads=[1,1,1,1]>(x, w)
        y = BatchNormalization<spatial=0>(c, s, s, s, s) }"""
    with pytest.raises(PassError, match="needs opset 13, the model has 8") as raised:
        model = parsed(text, opset=8, w=(8, 8, 3, 3), s=np.ones(by_place, np.float32))
        run_pass(SAFE, model, x=samples())
    assert raised.value.hint == "Export the model again at opset 13 or later."


def test_a_lifted_model_that_answers_otherwise_is_refused(run_pass: RunPass) -> None:
    # until opset 13, Hardmax ran over all axes from its own on, and ONNX's converter keeps the axis
    text = """g (float[batch,8,12,12] x) => (float[batch,8,12,12] y) {
        c = Conv<pads=[1,1,1,1]>(x, w)
        y = Hardmax<axis=1>(c) }"""
    with pytest.raises(PassError, match="changes the answers of this model: output 'y'") as raised:
        run_pass(SAFE, parsed(text, opset=11, w=(8, 8, 3, 3)), x=samples())
    assert "opset 13 or later" in raised.value.hint


IF = """g (float[batch,8,12,12] x) => (float[batch,8,12,12] y) {{
    c = Conv<pads=[1,1,1,1]>(x, w)
    r = Relu(c)
    m = ReduceMax<keepdims=0>(x)
    k = Less(m, most)
    [choice] y = If(k) <then_branch = f () => (float[batch,8,12,12] d) {{ d = {then} }},
                        else_branch = g () => (float[batch,8,12,12] e) {{ e = Sub({other}, r) }}>
}}"""


@pytest.mark.parametrize("then", ["Identity(c)", "Conv<pads=[1,1,1,1]>(r, w)"])
@pytest.mark.parametrize("other", ["c", "x"])
def test_bodies_stay_in_float_and_read_what_they_read(
    run_pass: RunPass, then: str, other: str
) -> None:
    model = parsed(IF.format(then=then, other=other), w=(8, 8, 3, 3), most=np.float32(1e3))
    made = run_pass(SAFE, model, x=samples(40))
    assert noise_db(model, made, samples()) > 30
    ops = "Conv, Sub" if "Conv" in then else "Sub"
    told = f"quantize-int8 leaves the bodies of If 'choice' ({ops}) in float32"
    assert made.found["notes"] == [told]


def test_a_network_inside_bodies_has_nothing_to_quantize(run_pass: RunPass) -> None:
    text = IF.format(then="Conv<pads=[1,1,1,1]>(x, w)", other="x")
    model = parsed(text.replace("c = Conv<pads=[1,1,1,1]>(x, w)", "c = Neg(x)"), w=(8, 8, 3, 3),
                   most=np.float32(1e3))  # fmt: skip
    with pytest.raises(PassError, match="no operator with weights") as raised:
        run_pass(SAFE, model, x=samples())
    assert raised.value.hint == "the bodies of If 'choice' (Conv, Sub) stay in float32"


ATTENTION = """g (float[batch,4,16] x) => (float[batch,4,16] y) {{
    q = MatMul(x, w)
    k = Transpose<perm=[0,2,1]>(q)
    s = MatMul(x, k)
    m = {masked}
    p = Softmax(m)
    o = MatMul(p, x)
    y = MatMul(o, v) }}"""


@pytest.mark.parametrize("value", [-np.inf, np.finfo(np.float32).min, -1e9])
@pytest.mark.parametrize("masked", ["Add(s, mask)", "Where(seen, s, low)"])
def test_masked_scores_stay_in_float(run_pass: RunPass, masked: str, value: float) -> None:
    seen = np.tril(np.ones((4, 4), bool))
    held = {"mask": np.where(seen, 0, np.float32(value)), "seen": seen, "low": np.float32(value)}
    held = {name: given for name, given in held.items() if name in masked}
    model = parsed(ATTENTION.format(masked=masked), w=(16, 16), v=(16, 16), **held)
    x = np.random.default_rng(1).normal(size=(40, 4, 16)).astype(np.float32)
    made = run_pass(SAFE, model, x=x)
    assert noise_db(model, made, x) > 25
    assert len(made.found["notes"]) == 2 and all("as masks do" in n for n in made.found["notes"])


def test_a_layer_that_the_quantizer_refuses_stays_in_float(run_pass: RunPass) -> None:
    text = """g (float[batch,8,12] x) => (float[batch,8,12] y) {
        a = MatMul(x, w)
        [norm] n = LayerNormalization<axis=1>(a, s, b)
        y = MatMul(n, v) }"""
    model = parsed(text, w=(12, 12), v=(12, 12), s=(8, 12), b=(8, 12))
    x = np.random.default_rng(1).normal(size=(40, 8, 12)).astype(np.float32)
    made = run_pass(SAFE, model, x=x)
    assert len(quantized_weights(made.model)) == 2 and noise_db(model, made, x) > 30
    (told,) = made.found["notes"]
    assert told.startswith("quantize-int8 leaves LayerNormalization 'norm' in float32: ONNX")


@pytest.mark.parametrize("scheme", ["u8s8-safe", "s8s8"])
def test_a_flat_softmax_keeps_its_classes_apart(scheme: str, run_pass: RunPass) -> None:
    """ONNX Runtime gives every Softmax the range 0 to 1: steps of 0.004, beside answers of 0.01."""
    model = parsed(
        "net (float[batch, 16] x) => (float[batch, 100] y) { z = Gemm(x, w, b)\n y = Softmax(z) }",
        w=np.random.default_rng(0).normal(0, 0.05, (16, 100)).astype(np.float32),
        b=(100,),
    )
    x = np.random.default_rng(1).normal(size=(64, 16)).astype(np.float32)
    made = run_pass(QuantizeInt8(scheme=scheme), model, x=x)
    assert noise_db(model, made, x) > 30


@pytest.mark.parametrize("kind", ["zero", "tiny", "dead layer"])
def test_channels_and_layers_gone_dead_take_nothing_from_the_others(
    kind: str, run_pass: RunPass
) -> None:
    dice = np.random.default_rng(0)
    w1, w2 = dice.normal(0, 0.3, (2, 16, 16, 3, 3)).astype(np.float32)
    b1 = dice.normal(0, 0.1, 16).astype(np.float32)
    if kind == "zero":
        w1[3] = 0.0
    elif kind == "tiny":
        w1[3] *= 1e-30
        b1[3] = 1.5  # 1e30 steps of its weights
    else:
        b1[:] = -1e3
    model = parsed(
        """net (float[batch, 16, 6, 6] x) => (float[batch, 16, 6, 6] y) {
            c = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
            r = Relu(c)
            y = Conv<pads = [1, 1, 1, 1]>(r, w2, b2)
        }""",
        w1=w1, b1=b1, w2=w2, b2=(16,),
    )  # fmt: skip
    x = dice.normal(size=(64, 16, 6, 6)).astype(np.float32)
    made = run_pass(QuantizeInt8(scheme="u8s8-safe", float_stem=False), model, x=x)
    assert noise_db(model, made, x) > 25


def test_products_alone_are_quantized_where_that_is_asked_for(run_pass: RunPass) -> None:
    """As GPUs take it: Q and DQ before each product, sums and activations in float between."""
    step = QuantizeInt8(scheme="s8s8-symmetric", placement="products", float_stem=False)
    made = run_pass(step, network(), x=samples())
    graph = made.model.graph
    makers = {out: node.op_type for node in graph.node for out in node.output}
    held = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        reads = [makers.get(name, "") for name in node.input]
        if node.op_type in ("Conv", "MatMul"):
            assert reads[:2] == ["DequantizeLinear"] * 2 and "DequantizeLinear" not in reads[2:]
        elif node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            assert "DequantizeLinear" not in reads, f"{node.op_type} reads what was rounded"
        else:
            assert not held[node.input[2]].any(), "every zero point is 0"
    assert made.description.facts >= {"int8", "int8-activations"}
    assert noise_db(network(), made, samples()) > 15  # 7 bits of what is never negative


@pytest.mark.parametrize(
    ("made", "known"),
    [("float[batch,8] h", True), ("float[batch,?] h", False), ("float[] h", False), ("", False)],
)
def test_shapes_are_looked_for_further_where_a_dimension_is_open(made: str, known: bool) -> None:
    text = f"g (float[batch,8] x) => (float[batch,8] y) {f'<{made}>' if made else ''} {{"
    body = "h = Relu(x) y = Relu(h) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text} {body}')
    assert shaped(model) is known
