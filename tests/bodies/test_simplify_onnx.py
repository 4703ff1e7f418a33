from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from passes_bench import RunPass, network, samples

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
