"""Where a TFLite model's file lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeopt.formats.tflite.declared import TfliteDeclared
from edgeopt.schema.errors import ModelError


def test_it_is_one_file_under_the_name_that_runtimes_read(tmp_path: Path) -> None:
    (tmp_path / "mine.tflite").write_bytes(b"x")
    found = TfliteDeclared().sources({"path": "mine.tflite"}, tmp_path)
    assert found == {"model.tflite": tmp_path / "mine.tflite"}
    for name in ("none.tflite", "."):
        with pytest.raises(ModelError, match="no such model file") as caught:
            TfliteDeclared().sources({"path": name}, tmp_path)
        assert caught.value.where == str(tmp_path / name)
