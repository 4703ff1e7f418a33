"""What is said of a TFLite file, by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema
from written_tflite import TFLITE, gathered, written

from edgeopt.schema.errors import ModelError


def test_names_are_the_signature_s_or_else_the_tensors_own(tmp_path: Path) -> None:
    for signed, names in ((True, ("features", "scores")), (False, ("x", "y"))):
        path = written(tmp_path / f"{signed}.tflite", signature=signed)
        found = TFLITE.describe(gathered(path, tmp_path / f"held-{signed}"))
        (taken,), (given,) = found.signature.inputs, found.signature.outputs
        assert (taken.name, given.name) == names
        assert found.facts == {"float32", "static-batch"}


def test_elements_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "m.tflite", dtype=schema.TensorType.STRING, custom="Split")
    with pytest.raises(ModelError):
        gathered(path, tmp_path / "held")
