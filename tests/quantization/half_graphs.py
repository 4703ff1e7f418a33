"""Small ONNX graphs whose answers float16 loses, each in one way."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(0)
X = RNG.standard_normal((8, 64)).astype(np.float32)
U, V, W = (RNG.standard_normal((3, 64, 64)) / 8).astype(np.float32)
FEEDS = [{"x": row[None]} for row in X]


def graph(*nodes: onnx.NodeProto, **held: float | np.ndarray) -> onnx.ModelProto:
    """From ``x`` (batch, 64) to ``y``, behind three products with weights."""
    tensors = {"u": U, "v": V, "w": W, **held}
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 64]) for n in ("x", "y")]
    made = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "u"], ["g"], name="zeroth"),
            helper.make_node("MatMul", ["g", "v"], ["h"], name="first"),
            helper.make_node("MatMul", ["h", "w"], ["p"], name="product"),
            *nodes,
        ],
        "net",
        ends[:1],
        ends[1:],
        [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in tensors.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def node(op: str, reads: list[str], makes: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, reads, [makes], name=op.lower(), **attributes)


OVERFLOWS = graph(
    node("Mul", ["p", "much"], "q"), node("Abs", ["q"], "r"), node("Div", ["r", "much"], "y"),
    much=6e4,
)  # fmt: skip
SHARP = graph(node("Add", ["p", "far"], "q"), node("Softmax", ["q"], "y", axis=1), far=2e3)
CANCELS = graph(
    node("Add", ["p", "far"], "q"),
    node("ReduceMean", ["q"], "m", axes=[1]),
    node("Sub", ["q", "m"], "y"),
    far=3e3,
)
TINY = graph(
    node("Mul", ["p", "little"], "q"),
    node("Pow", ["q", "two"], "s"),
    node("Add", ["s", "eps"], "t"),
    node("Sqrt", ["t"], "u_"),
    node("Div", ["q", "u_"], "y"),
    eps=1e-12,
    little=3e-4,
    two=2.0,
)
