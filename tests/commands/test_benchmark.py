"""Files raced without a recipe, where a runtime cannot run one."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

import edgeopt
from edgeopt.cli.benchmark import show
from edgeopt.schema.errors import EdgeoptError

pytest.importorskip("openvino")


@pytest.fixture
def determinant(tmp_path: Path) -> Path:
    """A model with an operator that ONNX Runtime has and OpenVINO does not."""
    taken = helper.make_tensor_value_info("matrix", TensorProto.FLOAT, ["n", 4, 4])
    given = helper.make_tensor_value_info("determinant", TensorProto.FLOAT, ["n"])
    node = helper.make_node("Det", ["matrix"], ["determinant"])
    graph = helper.make_graph([node], "determinant", [taken], [given])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "determinant.onnx")
    return tmp_path / "determinant.onnx"


def test_a_runtime_that_cannot_run_a_file_costs_no_other_row(
    determinant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = edgeopt.benchmark(determinant, store=tmp_path / "store")
    (target,) = found["targets"]
    assert [file["target"] for file in target["files"]] == ["local/onnxruntime"]
    (lost,) = target["lost"]
    assert lost["target"] == "local/openvino" and "Det" in lost["error"]["what"]
    show(found)
    shown = " ".join(capsys.readouterr().out.split())
    assert "determinant.onnx was not raced in local/openvino" in shown


def test_a_runtime_that_was_asked_for_by_name_must_run_it(
    determinant: Path, tmp_path: Path
) -> None:
    with pytest.raises(EdgeoptError, match="Det"):
        edgeopt.benchmark(determinant, targets=["local/openvino"], store=tmp_path / "store")
