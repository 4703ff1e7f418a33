#!/usr/bin/env bash
# ONNX Runtime 1.32.0: two quantizations in a row become one, and the coarser of them is lost.
#
# QuantizeLinear and DequantizeLinear with a scale of 0.5, then with one of 0.05. The optimizer
# DoubleQDQPairsRemover merges both into one pair with a recomputed scale
# (core/optimizer/double_qdq_pairs_remover.cc: FindNewZeroPointAndScale).
# Expected: values rounded to halves, as the graph says and as it answers without optimizations.
# Seen: by default the values come back as they were, up to several of the output's steps away.
# A way out: disabled_optimizers=["DoubleQDQPairsRemover"].
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - 2> "$folder/errors" <<'PYTHON' || { cat "$folder/errors" >&2; exit 1; }
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

node, info = helper.make_node, helper.make_tensor_value_info
graph = helper.make_graph(
    [
        node("QuantizeLinear", ["x", "coarse", "zero"], ["a"]),
        node("DequantizeLinear", ["a", "coarse", "zero"], ["b"]),
        node("QuantizeLinear", ["b", "fine", "zero"], ["c"]),
        node("DequantizeLinear", ["c", "fine", "zero"], ["y"]),
    ],
    "net",
    [info("x", TensorProto.FLOAT, ["n"])],
    [info("y", TensorProto.FLOAT, ["n"])],
    [
        numpy_helper.from_array(np.float32(0.5), "coarse"),
        numpy_helper.from_array(np.float32(0.05), "fine"),
        numpy_helper.from_array(np.uint8(128), "zero"),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
x = np.array([0.2, 0.6, -0.7, 1.2], np.float32)


def answer(level, **how):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"], **how
    )
    return session.run(None, {"x": x})[0]


levels = ort.GraphOptimizationLevel
plain = answer(levels.ORT_DISABLE_ALL)
default = answer(levels.ORT_ENABLE_ALL)
kept = answer(levels.ORT_ENABLE_ALL, disabled_optimizers=["DoubleQDQPairsRemover"])
print(f"expected: {plain} for {x}, which is what it gives without optimizations")
print(f"seen:     {default} by default; {kept} without that optimizer")
assert np.allclose(plain, [0, 0.5, -0.5, 1]) and np.allclose(kept, plain)
assert np.abs(default - plain).max() > 0.15, "the behaviour is another now"
PYTHON
