"""ONNX files of strangers: opened safely, described truly, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from passes_bench import MODEL, network, samples

from edgeopt.formats import format_named, format_of
from edgeopt.formats.onnx import portable
from edgeopt.schema.errors import ModelError, UsageError

ONNX = format_named("onnx")


def gathered(path: Path, into: Path) -> Path:
    into.mkdir()
    ONNX.gather({"path": path.name}, path.parent, into, {})
    return into


def external(folder: Path, location: str, **info: str) -> Path:
    """A model whose first weight lies in another file."""
    model = network()
    tensor = model.graph.initializer[0]
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **info}.items():
        tensor.external_data.add(key=key, value=value)
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    (folder / "weights.bin").write_bytes(data)
    return path


def test_a_model_is_described_by_its_file_alone(tmp_path: Path) -> None:
    onnx.save(network(batch=4), tmp_path / "net.onnx")
    said = ONNX.describe(gathered(tmp_path / "net.onnx", tmp_path / "artifact"))
    assert (said.signature.batch, said.facts) == (4, {"float32", "static-batch"})
    (x,), (y,) = said.signature.inputs, said.signature.outputs
    assert (x.name, x.dtype, x.shape) == ("x", "float32", (4, 8, 12, 12))
    assert (y.name, y.shape) == ("y", (4, 5))


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


def test_external_data_beside_the_model_come_along(tmp_path: Path) -> None:
    folder = gathered(external(tmp_path, "weights.bin"), tmp_path / "artifact")
    onnx.save(network(), tmp_path / "whole.onnx")
    whole = gathered(tmp_path / "whole.onnx", tmp_path / "whole")
    feeds = {"x": samples(2)}
    np.testing.assert_array_equal(ONNX.runner(folder)(feeds)["y"], ONNX.runner(whole)(feeds)["y"])


@pytest.mark.parametrize(
    ("location", "info"),
    [
        ("../secret.bin", {}),
        ("/etc/passwd", {}),
        ("link.bin", {}),
        ("absent.bin", {}),
        ("net.onnx", {}),
        ("weights.bin", {"offset": "100000", "length": "4"}),
        ("weights.bin", {"length": "99999999"}),
    ],
    ids=str,
)
def test_external_data_never_leave_the_folder(
    tmp_path: Path, location: str, info: dict[str, str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(8 * 16 * 9 * 4))
    (home / "link.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(ModelError) as caught:
        gathered(external(home, location, **info), tmp_path / "artifact")
    assert "'w1'" in str(caught.value) and "net.onnx" in caught.value.where
    assert not [p for p in (tmp_path / "artifact").rglob("*.bin")]


@pytest.mark.parametrize("cut", [0, 1, 100, 0.5, 0.999])
def test_truncated_files_are_refused_by_name(tmp_path: Path, cut: float) -> None:
    data = MODEL.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(data[: int(cut if cut >= 1 else cut * len(data))])
    with pytest.raises(ModelError) as caught:
        gathered(tmp_path / "cut.onnx", tmp_path / "artifact")
    assert "cut.onnx" in caught.value.where


@pytest.mark.parametrize(
    ("start", "said"), [(b"PK\x03\x04", "zip"), (b"\x1c\0\0\0TFL3", "TensorFlow Lite")]
)
def test_other_formats_are_named(tmp_path: Path, start: bytes, said: str) -> None:
    (tmp_path / "odd.onnx").write_bytes(start + bytes(64))
    with pytest.raises(ModelError) as caught:
        gathered(tmp_path / "odd.onnx", tmp_path / "artifact")
    assert said in str(caught.value)


def test_the_format_is_known_by_suffix_or_folder(tmp_path: Path) -> None:
    assert format_of(MODEL) == "onnx"
    assert format_of(MODEL.with_suffix(".safetensors")) == "torch"
    with pytest.raises(ModelError, match="no such"):
        format_of(tmp_path / "absent.onnx")
    (tmp_path / "model.xyz").write_text("")
    with pytest.raises(UsageError, match=r"suffix '\.xyz'"):
        format_of(tmp_path / "model.xyz")
    with pytest.raises(UsageError, match="holds no model"):
        format_of(tmp_path)
    with pytest.raises(UsageError, match="unknown model format 'onxx'"):
        format_named("onxx")


def changed(model: onnx.ModelProto, **what: Any) -> onnx.ModelProto:
    for name, value in what.items():
        setattr(model.graph.input[0].type.tensor_type, name, value)
    return model


def test_inputs_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    onnx.save(changed(network(), elem_type=onnx.TensorProto.STRING), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=r"input 'x'|checker refuses"):
        ONNX.describe(gathered(tmp_path / "net.onnx", tmp_path / "artifact"))


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
