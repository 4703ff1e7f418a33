"""TFLite files: described by themselves, and refused by name where they are not sound."""

from __future__ import annotations

import random
from pathlib import Path

import flatbuffers
import pytest
from written_tflite import TFLITE, gathered, written

from edgeopt.formats import format_of
from edgeopt.formats.tflite import files
from edgeopt.schema.errors import ModelError


@pytest.mark.parametrize("cut", [0.0, 0.01, 0.3, 0.9, 0.99])
def test_truncated_files_are_refused_by_name(tmp_path: Path, cut: float) -> None:
    path = written(tmp_path / "short.tflite")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(ModelError) as caught:
        files.check(path)
    assert "short.tflite" in str(caught.value)


def test_mutated_files_are_refused_or_run_and_nothing_else(tmp_path: Path) -> None:
    content = written(tmp_path / "m.tflite").read_bytes()
    refused = 0
    for seed in range(150):
        rng = random.Random(seed)
        changed = bytearray(content)
        for _ in range(rng.choice([1, 3, 10])):
            changed[rng.randrange(8, len(changed))] = rng.randrange(256)
        path = tmp_path / "mutated.tflite"
        path.write_bytes(changed)
        try:
            folder = tmp_path / f"held-{seed}"
            TFLITE.describe(gathered(path, folder))
            TFLITE.inspect(folder)
        except ModelError as error:
            refused += 1
            assert "tflite" in error.where
    assert 20 < refused < 150, "some changes are harmless, such as those of weights"


def test_a_custom_operator_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "custom.tflite", custom="Landmarks2Tensor")
    with pytest.raises(ModelError, match=r"custom operator Landmarks2Tensor"):
        gathered(path, tmp_path / "held")


@pytest.mark.parametrize(
    ("start", "said"),
    [(b"PK\x03\x04", "zip"), (b"\x89HDF\r\n\x1a\n", "HDF5"), (b"\x08\x0a", "ONNX"), (b"", "")],
)
def test_other_formats_are_named(tmp_path: Path, start: bytes, said: str) -> None:
    path = tmp_path / "other.tflite"
    path.write_bytes(start + b"\0" * 20)
    with pytest.raises(ModelError, match="no TFLite model") as caught:
        files.check(path)
    assert said in caught.value.hint


def test_the_format_is_known_by_suffix_or_folder(tmp_path: Path) -> None:
    folder = gathered(written(tmp_path / "m.TFLITE"), tmp_path / "held")
    assert format_of(tmp_path / "m.TFLITE") == format_of(folder) == "tflite"


def test_packing_keeps_every_byte_that_counts(tmp_path: Path) -> None:
    path = written(tmp_path / "m.tflite")
    model = files.read(path)
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), files.IDENTIFIER)
    assert files.pack(model) == bytes(builder.Output())
    assert files.pack(files.unpack(files.pack(model), "")) == files.pack(model)
