"""Outputs whose shapes a file leaves out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeopt.formats import format_named
from edgeopt.schema.errors import ModelError

ONNX = format_named("onnx")


def saved(path: Path, operator: str, domain: str = "", size: int | str = 4) -> Path:
    """A matrix product whose output, and that of one operator after it, have no shape."""
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node(operator, ["x"], ["y"], domain=domain),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("y", "total")]
    graph = helper.make_graph(nodes, "open", [x], outputs)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize(("operator", "domain"), [("Abs", ""), ("QuickGelu", "com.microsoft")])
def test_they_are_inferred_or_seen_in_a_run(tmp_path: Path, operator: str, domain: str) -> None:
    path, into = saved(tmp_path / "open.onnx", operator, domain), tmp_path / "artifact"
    into.mkdir()
    ONNX.gather({"path": path.name}, tmp_path, into, {})
    outputs = ONNX.describe(into).signature.outputs
    assert [(t.name, t.dtype, t.shape) for t in outputs] == [
        ("y", "float32", ("batch", 4)),
        ("total", "float32", ()),
    ]
    assert ONNX.runner(into)({"x": np.ones((3, 4), np.float32)})["y"].shape == (3, 4)


def test_what_no_run_can_tell_is_refused_with_the_input(tmp_path: Path) -> None:
    path, into = saved(tmp_path / "open.onnx", "QuickGelu", "com.microsoft", "width"), tmp_path
    (into / "artifact").mkdir()
    with pytest.raises(ModelError, match="no shape, and input 'x'"):
        ONNX.gather({"path": path.name}, tmp_path, into / "artifact", {})
