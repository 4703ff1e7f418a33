"""What passes do to every ONNX graph that they write."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from edgeopt.formats.onnx import portable


def test_outputs_are_renamed_and_what_has_their_name_makes_way() -> None:
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Neg", ["x"], ["y"]),
        helper.make_node("Abs", ["y"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "names",
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value(name, TensorProto.FLOAT, ["n", 2]) for name in ("z", "x", "z")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    portable.name_outputs(model, ["y", "again", "third"])
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.array([[-1.0, 2.0]], np.float32)
    assert [o.name for o in session.get_outputs()] == ["y", "again", "third"]
    found = session.run(None, {"x": x})
    np.testing.assert_array_equal(found, [np.abs(x), x, np.abs(x)])
