"""ONNX files of strangers: opened safely, described truly, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from passes_bench import MODEL, network, samples

from edgeopt.formats import format_named, format_of
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
