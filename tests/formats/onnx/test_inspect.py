"""Figures of an ONNX graph."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from passes_bench import MODEL, network

from edgeopt.formats import format_named
from edgeopt.formats.onnx.inspect import count_macs

ONNX = format_named("onnx")


def gathered(path: Path, into: Path) -> Path:
    into.mkdir()
    ONNX.gather({"path": path.name}, path.parent, into, {})
    return into


def test_inspection_counts_what_is_there(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "net.onnx")
    found = ONNX.inspect(gathered(tmp_path / "net.onnx", tmp_path / "artifact"))
    convolutions = (8 * 16 * 9 + 16 * 16 * 9) * 12 * 12
    assert found.macs == convolutions + 16 * 5
    assert found.parameters == 8 * 16 * 9 + 16 + 16 * 16 * 9 + 16 * 5
    assert found.operators["Conv"] == 2 and found.opset == {"ai.onnx": 18}
    assert (found.ir_version, found.quantization) == (8, {})


def test_the_shipped_model_has_the_macs_that_its_card_states(tmp_path: Path) -> None:
    found = ONNX.inspect(gathered(MODEL, tmp_path / "artifact"))
    assert found.macs == 37_156_608


@pytest.mark.parametrize(
    ("size", "known"), [(8, True), (2**40, False), (2**62, False), (-5, False)]
)
def test_sizes_that_no_tensor_has_give_no_macs(size: int, known: bool) -> None:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "x"], ["y"])],
        "g",
        [info("x", TensorProto.FLOAT, ["batch", size, size])],
        [info("y", TensorProto.FLOAT, ["batch", size, size])],
    )
    macs, notes = count_macs(helper.make_model(graph))
    assert macs == (8**3 if known else None)
    assert bool(notes) == (not known)
