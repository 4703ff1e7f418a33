"""Which files an ONNX model is made of, by a scan of its bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgeopt.formats.onnx.declared import OnnxDeclared
from edgeopt.formats.onnx.sources import locations, source_files
from edgeopt.schema.errors import ModelError


def model(folder: Path, *places: str) -> Path:
    """A model whose weights lie in other files."""
    held = []
    for index, place in enumerate(places):
        tensor = numpy_helper.from_array(np.ones((2, 2), np.float32), f"w{index}")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)
        tensor.external_data.add(key="length", value="16")
        held.append(tensor)
    graph = helper.make_graph([], "net", [], [], held)
    path = folder / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def test_external_data_beside_the_model_are_found(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    long = "w" * 200 + ".bin"
    for name in ("weights.bin", "deep/other.bin", long):
        (tmp_path / name).write_bytes(b"x")
    path = model(tmp_path, "weights.bin", "deep/other.bin", long, "gone.bin")
    assert source_files(path) == {
        "model": path, "data/weights.bin": tmp_path / "weights.bin",
        "data/deep/other.bin": tmp_path / "deep/other.bin", f"data/{long}": tmp_path / long,
    }  # fmt: skip
    assert OnnxDeclared().sources({"path": "model.onnx"}, tmp_path) == source_files(path)


@pytest.mark.parametrize("place", ["../secret", "/etc/hostname", "deep/../../secret"])
def test_nothing_outside_the_folder_is_taken(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "project"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    assert set(source_files(model(folder, place))) == {"model"}


@given(st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=60))
def test_every_name_that_protobuf_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    assert locations(model(tmp_path_factory.mktemp("m"), name, f"{name}.bin")) == {
        name, f"{name}.bin",
    }  # fmt: skip


def test_models_that_are_no_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    assert locations(tmp_path / "empty.onnx") == set()
    for name, said in (("none.onnx", "no such model file"), (".", "the model is not a file"),
                       ("empty.onnx", "the model file is empty")):  # fmt: skip
        with pytest.raises(ModelError, match=said) as caught:
            source_files(tmp_path / name)
        assert caught.value.where == str(tmp_path / name)


def test_a_model_of_one_file_names_no_other(tmp_path: Path) -> None:
    onnx.save(helper.make_model(helper.make_graph([], "net", [], [])), tmp_path / "m.onnx")
    assert set(source_files(tmp_path / "m.onnx")) == {"model"}
