"""ONNX Runtime's session: what a model takes, and what its own profile tells of a run."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from passes_bench import network, samples

from edgeopt.agent.errors import AgentError
from edgeopt.agent.sessions.onnxruntime import Session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = network()
    for index, node in enumerate(model.graph.node):
        node.name = f"node {index}"
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path


def test_every_node_of_the_profile_is_told_with_types_and_shapes(
    folder: Path, tmp_path: Path
) -> None:
    session = Session(str(folder), "cpu", 1)
    prepared = session.prepare({"x": samples(2)})
    graph = tmp_path / "optimized.onnx"
    told = session.executed(prepared, str(graph))
    made = {node.name: node.op_type for node in onnx.load(graph).graph.node}
    assert {each["name"]: each["op"] for each in told} == made
    last = next(each for each in told if each["op"] == "MatMul")
    assert last["outputs"] == [("float32", [2, 5])]
    assert all(0 <= each["seconds"] < 10 for each in told) and last["seconds"] > 0
    assert session.placement(prepared) == {"CPUExecutionProvider": len(made)}
    assert not list(folder.glob("*.json")), "no profile is left"


def test_what_is_not_there_or_not_sound_is_an_error(folder: Path) -> None:
    with pytest.raises(AgentError) as caught:
        Session(str(folder), "none", 1)
    assert caught.value.kind == "DeviceError"
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(AgentError, match="cannot load the model") as caught:
        Session(str(folder), "cpu", 1)
    assert caught.value.kind == "ModelError" and "\n" not in caught.value.what


def test_an_input_that_is_no_number_is_named(tmp_path: Path) -> None:
    value = [helper.make_tensor_value_info(n, TensorProto.STRING, ["batch"]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "net", *(
        [each] for each in value))  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(AgentError, match=r"tensor has type tensor\(string\)") as caught:
        Session(str(tmp_path), "cpu", 1)
    assert caught.value.where == "x"


def test_free_sizes_are_names_and_fixed_ones_are_numbers(folder: Path) -> None:
    (told,) = Session(str(folder), "cpu", 1).inputs
    assert told["shape"] == ["batch", 8, 12, 12] and np.dtype(told["dtype"]) == np.float32


def test_named_sizes_are_fixed_and_the_answers_stay(folder: Path) -> None:
    free, x = Session(str(folder), "cpu", 1), samples(4)
    (expected,) = free.arrays(free.call(free.prepare({"x": x})))
    fixed = Session(str(folder), "cpu", 1, fixed={"x": [4, 8, 12, 12]})
    assert [each["shape"] for each in fixed.inputs] == [[4, 8, 12, 12]]
    prepared = fixed.prepare({"x": x})
    (found,) = fixed.arrays(fixed.call(prepared))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert fixed.placement(prepared), "the session that is profiled takes the same sizes"


def test_a_file_that_does_not_do_with_the_sizes_stays_free(tmp_path: Path) -> None:
    """Its Reshape holds the batch: the runtime refuses the graph with any other one."""
    info, kind = helper.make_tensor_value_info, TensorProto.FLOAT
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [2, 6])
    nodes = [helper.make_node("Reshape", ["x", "s"], ["r"]), helper.make_node("Relu", ["r"], ["y"])]
    ends = [info("x", kind, ["batch", 6]), info("y", kind, [2, 6])]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    (told,) = Session(str(tmp_path), "cpu", 1, fixed={"x": [3, 6]}).inputs
    assert told["shape"] in ([3, 6], ["batch", 6])


@pytest.fixture(scope="module")
def s8s8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network with int8 activations and weights."""
    given = tmp_path_factory.mktemp("float") / "model.onnx"
    onnx.save(network(), given)
    feeds = iter([{"x": samples(4)}])

    class Reader(CalibrationDataReader):
        def get_next(self) -> Any:
            return next(feeds, None)

    folder = tmp_path_factory.mktemp("s8s8")
    kinds = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    quantize_static(given, folder / "model.onnx", Reader(), quant_format=QuantFormat.QDQ, **kinds)
    return folder


def ran(folder: Path, tmp_path: Path, **settings: str) -> list[str]:
    session = Session(str(folder), "cpu", 1, **settings)
    told = session.executed(session.prepare({"x": samples(1)}), str(tmp_path / "o.onnx"))
    return [each["op"] for each in told]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="allowed on ARM as it is")
def test_int8_activations_run_on_integers_where_they_are_allowed(
    s8s8: Path, tmp_path: Path
) -> None:
    plain, allowed = ran(s8s8, tmp_path), ran(s8s8, tmp_path, int8="allowed")
    integer = [sum(op.startswith("QLinear") for op in ops) for ops in (plain, allowed)]
    assert integer[1] > integer[0], f"{plain} against {allowed}"


def test_the_graph_is_optimized_as_far_as_it_is_told(folder: Path, tmp_path: Path) -> None:
    assert "FusedConv" in ran(folder, tmp_path, opt="extended")
    assert "FusedConv" not in ran(folder, tmp_path, opt="basic")
    assert ran(folder, tmp_path, opt="all") == ran(folder, tmp_path)
