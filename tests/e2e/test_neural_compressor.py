"""neural-compressor's ranges in both exports, beside edgeopt's own quantization."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from e2e_project import Project
from onnx import numpy_helper

from edgeopt.formats.tflite import files

pytestmark = [pytest.mark.extras, pytest.mark.long]
OLD = """\
  - export-onnx: {}
  - one_of: [none, {simplify-onnx: {}}]
  - one_of: [none, {quantize-int8: {scheme: s8s8}}]
"""
NEW = """\
  - one_of: [none, {quantize-int8: {engine: neural-compressor, float_stem: false}}]
  - one_of: [export-onnx, export-tflite]
  - one_of: [none, {quantize-int8: {scheme: auto}}]
"""
BOTH = "targets: [local/onnxruntime, local/litert]"


def test_both_exports_hold_the_scales_that_it_found(project: Project) -> None:
    project.edit("recipe.yaml", OLD, NEW)
    project.edit("recipe.yaml", "targets: [local/onnxruntime]", BOTH)
    project.edit("recipe.yaml", "accuracy >= source - 10pt", "accuracy >= source - 50pt")
    result = project.optimize()
    found: dict[str, set[float]] = {}
    for target in result["targets"]:
        assert target["verdict"] == "chosen"
        made = [c for c in target["candidates"] if "neural-compressor" in c["label"]]
        assert made and all("int8" in c["description"]["facts"] for c in made)
        assert not any(c["status"] == "failed" for c in target["candidates"])
        own = [c for c in target["candidates"] if "scheme=" in c["label"] and c not in made]
        assert own, "edgeopt's own stands beside it"
        path = _laid_out(project, made[0]["artifact"]["files"])
        found[made[0]["description"]["format"]] = _scales(path)
    assert len(found) == 2
    shared = found["onnx"] & found["tflite"]
    assert len(shared) >= 8, "the grids of activations are one in both files"
    assert any("neural-compressor gave no range" in note for note in result["notes"])


def _laid_out(project: Project, held: dict[str, str]) -> Path:
    (name, digest), *_ = sorted(held.items())
    (path,) = (project.store / "blobs").glob(f"??/{digest}")
    assert name.startswith("model.")
    return path


def _scales(path: Path) -> set[float]:
    """Scales of activations: those that stand alone."""
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        model = onnx.load_from_string(content)
        held = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        quantizers = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
        return {float(np.float32(held[n.input[1]])) for n in quantizers}
    tensors = files.unpack(content, "the model").subgraphs[0].tensors
    grids = [t.quantization.scale for t in tensors if t.quantization is not None]
    return {float(np.float32(scale[0])) for scale in grids if scale is not None and len(scale) == 1}
