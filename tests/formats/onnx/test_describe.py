"""What is said of an ONNX graph: by its file alone, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from passes_bench import network

from edgeopt.formats import format_named
from edgeopt.schema.errors import ModelError

ONNX = format_named("onnx")


def gathered(path: Path, into: Path) -> Path:
    into.mkdir()
    ONNX.gather({"path": path.name}, path.parent, into, {})
    return into


def test_a_model_is_described_by_its_file_alone(tmp_path: Path) -> None:
    onnx.save(network(batch=4), tmp_path / "net.onnx")
    said = ONNX.describe(gathered(tmp_path / "net.onnx", tmp_path / "artifact"))
    assert (said.signature.batch, said.facts) == (4, {"float32", "static-batch"})
    (x,), (y,) = said.signature.inputs, said.signature.outputs
    assert (x.name, x.dtype, x.shape) == ("x", "float32", (4, 8, 12, 12))
    assert (y.name, y.shape) == ("y", (4, 5))


def changed(model: onnx.ModelProto, **what: Any) -> onnx.ModelProto:
    for name, value in what.items():
        setattr(model.graph.input[0].type.tensor_type, name, value)
    return model


def test_inputs_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    onnx.save(changed(network(), elem_type=onnx.TensorProto.STRING), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=r"input 'x'|checker refuses"):
        ONNX.describe(gathered(tmp_path / "net.onnx", tmp_path / "artifact"))
