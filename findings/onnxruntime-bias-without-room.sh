#!/usr/bin/env bash
# ONNX Runtime 1.32.0: quantize_static lets an int32 bias fill all 32 bits, and the sum wraps around.
#
# Where a bias would not fit, the quantizer enlarges the weight's scale until it does, to the last of
# 2147483647 steps (quantization/qdq_quantizer.py: _adjust_weight_scale_for_int32_bias, a margin of
# 1.0001). The fused integer kernels add the sum of products to it in 32 bits.
# Expected: the answers of the same file without graph optimizations, close to the float model's.
# Seen: with optimizations, the default, the sum wraps around, and the layer answers its smallest
#   value where it should answer its largest.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 sympy numpy==2.4.6
"$folder/venv/bin/python" - 2> "$folder/errors" <<'EOF' || { cat "$folder/errors" >&2; exit 1; }
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper, save
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

COUNT = 1024
samples = np.abs(np.random.default_rng(0).normal(size=(8, COUNT))).astype(np.float32)
weight = np.full((2, COUNT), 1e-3, np.float32)
step = float(samples.max()) / 255 * 1e-3 / 127
bias = np.full(2, 4 * 2**31 * step, np.float32)
info = helper.make_tensor_value_info
graph = helper.make_graph(
    [helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="gemm", transB=1)],
    "net",
    [info("x", TensorProto.FLOAT, [1, COUNT])],
    [info("y", TensorProto.FLOAT, [1, 2])],
    [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
)
folder = Path(tempfile.mkdtemp())
opset = [helper.make_opsetid("", 18)]
save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "float.onnx")


class Reader(CalibrationDataReader):
    def __init__(self):
        self.feeds = iter(samples)

    def get_next(self):
        x = next(self.feeds, None)
        return None if x is None else {"x": x[None]}


quantize_static(
    folder / "float.onnx", folder / "int8.onnx", Reader(), quant_format=QuantFormat.QDQ,
    per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
)


def answer(name, level):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    session = ort.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": samples[:1]})[0][0]


levels = ort.GraphOptimizationLevel
want = answer("float.onnx", levels.ORT_ENABLE_ALL)
plain = answer("int8.onnx", levels.ORT_DISABLE_ALL)
fused = answer("int8.onnx", levels.ORT_ENABLE_ALL)
print(f"expected: about {want}; without optimizations {plain}")
print(f"seen:     {fused} with optimizations")
assert np.allclose(want, plain, rtol=0.02) and np.abs(fused).max() < want.max() / 2, (
    "the behaviour is another now"
)
EOF
