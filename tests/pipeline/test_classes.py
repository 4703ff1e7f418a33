"""Names of classes that the data has itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import edgeopt


def test_folders_of_classes_name_them(tmp_path: Path) -> None:
    """Guards against numbers in place of the folders' own names."""
    rng = np.random.default_rng(1)
    for split in ("validation", "test"):
        for name in ("cat", "dog", "emu"):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(8):
                pixels = rng.integers(0, 256, size=(2, 2), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / name / f"{index}.png")
    weights = numpy_helper.from_array(rng.normal(size=(4, 3)).astype(np.float32), "w")
    shape = numpy_helper.from_array(np.array([-1, 4]), "shape")
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["image", "shape"], ["flat"]),
         helper.make_node("MatMul", ["flat", "w"], ["scores"])],
        "linear",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 2, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])],
        [weights, shape],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    result = edgeopt.optimize(
        tmp_path / "m.onnx", passes=["simplify-onnx"], quick=True,
        store=tmp_path.with_name("store"),
        data={"source": str(tmp_path), "label": "label",
              "splits": {"validation": "validation", "test": "test"}},
        constraints=["accuracy >= source - 90pt"],
    )  # fmt: skip
    assert [each.group for each in result.targets[0].slices["test"]] == [
        "class 0 (cat)",
        "class 1 (dog)",
        "class 2 (emu)",
    ]
