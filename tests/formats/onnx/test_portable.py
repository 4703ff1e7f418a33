"""What passes do to every ONNX graph that they write."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from edgeopt.formats.onnx import portable
from edgeopt.schema.artifact import Signature, Tensor
from edgeopt.schema.errors import PassError


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


def test_an_initializer_and_an_input_make_way_too() -> None:
    value = helper.make_tensor_value_info
    held = onnx.numpy_helper.from_array(np.arange(2, dtype=np.float32), "anchors")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x_orig"], ["x"])],
        "names",
        [value("x_orig", TensorProto.FLOAT, ["n", 2])],
        [value("x", TensorProto.FLOAT, ["n", 2]), value("anchors", TensorProto.FLOAT, [2])],
        [held],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    portable.name_outputs(model, ["x_output", "anchors"])
    portable.name_inputs(model, ["x"])
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.array([[-1.0, 2.0]], np.float32)
    assert [o.name for o in session.get_outputs()] == ["x_output", "anchors"]
    for found, wanted in zip(session.run(None, {"x": x}), (x, [0.0, 1.0]), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("first", "said"), [("batch", "free"), (4, "4")])
def test_an_axis_that_the_exporter_fixed_is_told_and_not_written_over(
    first: str | int, said: str
) -> None:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "fixed", *map(_one, values))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x, y = (Tensor(name=n, dtype="float32", shape=(first, 3)) for n in "xy")
    with pytest.raises(PassError, match=f"axis 0 of input 'x' is fixed to 2, .* to be {said}"):
        portable.sign(model, Signature(inputs=(x,), outputs=(y,)))


def _one(value: onnx.ValueInfoProto) -> list[onnx.ValueInfoProto]:
    return [value]
