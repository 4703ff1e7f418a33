"""What is said of an ONNX graph: by its file alone, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from passes_bench import network, parsed

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


ONE = {  # graphs that call the batch free and answer one sample only, or any number
    "rows of one": ("f = Reshape(x, s)\n y = MatMul(f, w)", 1),
    "one row in the end": ("f = Flatten(x)\n g = MatMul(f, w)\n y = Reshape(g, s)", 1),
    "rows of any": ("f = Flatten(x)\n y = MatMul(f, w)", None),
}


@pytest.mark.parametrize("form", ONE)
@pytest.mark.parametrize("symbol", ["batch", "n", ""])
def test_a_free_batch_that_can_only_be_1_is_written_as_1(
    tmp_path: Path, form: str, symbol: str
) -> None:
    nodes, batch = ONE[form]
    head = f"g (float[{symbol or 'q'},4,4] x) => (float[{symbol or 'q'},3] y)"
    model = parsed(f"{head} {{ {nodes} }}", w=(16, 3), s=np.array([1, -1]))
    if not symbol:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].Clear()
    onnx.save(model, tmp_path / "net.onnx")
    folder = gathered(tmp_path / "net.onnx", tmp_path / "artifact")
    said = ONNX.describe(folder)
    assert said.signature.batch == batch and ("static-batch" in said.facts) == (batch == 1)
    assert said.signature.outputs[0].shape == (batch or "batch", 3)
    same = (folder / "model.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes()
    assert same == (batch is None)


def test_outputs_that_do_not_count_samples_say_nothing_of_the_batch(tmp_path: Path) -> None:
    found = parsed("g (float[batch,4] x) => (int64[2,k] y) { y = NonZero(x) }")
    found.graph.output[0].type.tensor_type.shape.dim[0].Clear()  # as detectors leave it
    onnx.save(found, tmp_path / "net.onnx")
    said = ONNX.describe(gathered(tmp_path / "net.onnx", tmp_path / "artifact"))
    assert said.signature.batch is None


@pytest.mark.parametrize(
    ("zero", "facts"),
    [
        ("int8 zero = {0}", {"qdq", "float32", "int8-activations"}),
        ("uint8 zero = {0}", {"qdq", "float32"}),
    ],
)
def test_activations_in_int8_are_told_apart_from_those_in_uint8(
    tmp_path: Path, zero: str, facts: set[str]
) -> None:
    """Runtimes have other kernels for them."""
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 4] x) => (float[N, 4] y)
        <float s = {{0.1}}, {zero}, float[4] w = {{1, 2, 3, 4}}> {{
            q = QuantizeLinear(x, s, zero)
            d = DequantizeLinear(q, s, zero)
            y = Mul(d, w)
        }}"""
    )
    onnx.save(model, tmp_path / "net.onnx")
    said = ONNX.describe(gathered(tmp_path / "net.onnx", tmp_path / "artifact"))
    assert said.facts == facts
