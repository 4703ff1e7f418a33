"""What an ONNX file calls the free sizes of its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeopt.agent.onnx_inputs import free_sizes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    info = helper.make_tensor_value_info
    kind = TensorProto.FLOAT
    inputs = [info("x", kind, ["N", 4, "höhe"]), info("m", kind, ["N", None]), info("k", kind, [2])]
    weight = numpy_helper.from_array(np.zeros(100_000, np.float32), "w")
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    graph = helper.make_graph(nodes, "net", inputs, [info("y", kind, ["N", 4, "höhe"])], [weight])
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"x": [3, 4, 9], "m": [3, 7], "k": [2]}, {"N": 3, "höhe": 9}),
        ({"x": [3, 4, None], "m": [3, None]}, {"N": 3}),
        ({"x": [3, 4, 9], "m": [5, 7]}, {"höhe": 9}),  # N stands for two sizes
        ({"other": [3]}, {}),
        ({}, {}),
    ],
)
def test_a_named_size_is_what_the_samples_have(
    file: Path, wanted: dict[str, Any], named: dict[str, int]
) -> None:
    assert free_sizes(str(file), wanted) == named


def test_a_file_that_is_no_model_has_no_names(file: Path) -> None:
    whole = file.read_bytes()
    for broken in (b"", b"\xff" * 40, b"no model", whole[:50], whole[: len(whole) // 2]):
        file.write_bytes(broken)
        assert free_sizes(str(file), {"x": [3, 4, 9]}) == {}
    assert free_sizes(str(file.parent / "none.onnx"), {"x": [1]}) == {}
