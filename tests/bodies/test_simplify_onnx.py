from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from passes_bench import RunPass, network, parsed, samples

from edgeopt.bodies.simplify_onnx import halve_last
from edgeopt.passes.simplify_onnx import SimplifyOnnx


def test_simplify_pools_means(run_pass: RunPass) -> None:
    made = run_pass(SimplifyOnnx(), network(constants=True))
    count = Counter(node.op_type for node in made.model.graph.node)
    assert count["GlobalAveragePool"] == 1
    assert not count["ReduceMean"]


def test_what_depends_on_no_input_is_computed_once_and_for_all(run_pass: RunPass) -> None:
    model = network()
    graph = model.graph
    graph.node.insert(0, helper.make_node("Add", ["w2", "w2"], ["doubled"]))
    (reader,) = [node for node in graph.node if "w2" in node.input and node.op_type == "Conv"]
    reader.input[1] = "doubled"
    made = run_pass(SimplifyOnnx(), model)
    count = Counter(node.op_type for node in made.model.graph.node)
    assert count["Add"] == 1, "the residual one alone"
    whole = run_pass(SimplifyOnnx(), network())
    feeds = {"x": samples(2)}
    assert not np.allclose(made.run(feeds)[0], whole.run(feeds)[0])


def test_a_graph_that_is_simple_already_answers_to_the_bit(run_pass: RunPass) -> None:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(np.arange(8, dtype=np.float32).reshape(4, 2), "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    made = run_pass(SimplifyOnnx(), model)
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    assert np.array_equal(made.run({"x": x})[0], x @ np.arange(8, dtype=np.float32).reshape(4, 2))
    assert isinstance(made.model, onnx.ModelProto)


HALF_FIRST = """net (float[batch, 16] x) => (float[batch, 16] y) {
    a = MatMul(x, w)
    d = Div(a, root)
    e = Erf(d)
    s = Add(e, one)
    h = Mul(half, s)
    y = Mul(a, h)
}"""


@pytest.mark.parametrize("last", ["y = Mul(a, h)", "y = Mul(h, a)"])
def test_a_gelu_becomes_one_kernel(last: str, run_pass: RunPass, tmp_path: Path) -> None:
    """ONNX Runtime leaves it as five nodes in the form that PyTorch exports."""
    held = {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}
    model = parsed(HALF_FIRST.replace("y = Mul(a, h)", last), w=(16, 16), **held)
    made = run_pass(SimplifyOnnx(), model)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(made.path, options, providers=["CPUExecutionProvider"])
    ran = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert "Gelu" in ran and "Erf" not in ran
    x = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    before = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(made.run({"x": x})[0], before.run(None, {"x": x})[0], atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("y = Mul(a, h)", "y = Mul(x, h)"),  # not what erf was taken of
        ("h = Mul(half, s)", "h = Mul(one, s)"),  # not halved
        ("y = Mul(a, h)", "z = Mul(a, h)\n y = Add(z, h)"),  # the half is read twice
    ],
)
def test_what_is_no_gelu_stays(old: str, new: str) -> None:
    held = {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}
    text = HALF_FIRST.replace(old, new)
    held = {name: value for name, value in held.items() if name in text}
    model = parsed(text, w=(16, 16), **held)
    before = model.SerializeToString()
    assert halve_last(model) == 0 and model.SerializeToString() == before
