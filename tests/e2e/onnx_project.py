"""A user's project that starts from a tiny ONNX file: seconds for a whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from e2e_project import Project
from onnx import TensorProto, helper, numpy_helper

RECIPE = """\
model: m.onnx
data:
  source: d.npz
  inputs: {x: samples}
  label: label
  splits: {calibration: train, validation: validation, test: test}
targets: [local/onnxruntime]
objective: size
constraints: ["accuracy >= source - 50pt"]
passes:
  - simplify-onnx
"""
SAMPLES = {"train": 24, "validation": 40, "test": 50}


def tiny_project(folder: Path) -> Project:
    """The project in a new folder below ``folder``, its store beside it."""
    place = folder / "project"
    place.mkdir()
    rng = np.random.default_rng(0)
    shapes = {"w": (6, 8), "b": (8,), "v": (8, 3)}
    held = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w", "b"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("MatMul", ["r", "v"], ["scores"]),
        ],
        "net",
        [info("x", TensorProto.FLOAT, ["batch", 6])],
        [info("scores", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), place / "m.onnx")
    arrays = {}
    for split, n in SAMPLES.items():
        x = rng.normal(size=(n, 6)).astype(np.float32)
        label = (np.maximum(x @ held["w"] + held["b"], 0) @ held["v"]).argmax(axis=1)
        label[::10] = (label[::10] + 1) % 3
        arrays |= {f"{split}.samples": x, f"{split}.label": label}
    np.savez(place / "d.npz", **arrays)
    made = Project(place, folder / "store")
    made.write(RECIPE)
    return made
