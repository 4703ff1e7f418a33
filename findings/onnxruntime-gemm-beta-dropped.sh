#!/usr/bin/env bash
# ONNX Runtime 1.32.0: quantize_static (QDQ) drops the factor beta of a Gemm.
#
# QDQGemm (quantization/operators/gemm.py) sets beta to 1 and hands the old value to the bias, whose
# scale becomes input scale * weight scale * beta (quantization/base_quantizer.py). The codes are the
# bias divided by that scale, so dequantized they give the bias itself: beta is in neither place.
# Expected: x @ w + 2 * b, up to the rounding of 8 bits.
# Seen: x @ w + b without graph optimizations, and x @ w + b / 2 with the fused integer kernel, which
#   takes the codes to be in steps of input scale * weight scale.
# Workaround: multiply the bias by beta, and leave beta out, before the model is quantized.
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
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

rng = np.random.default_rng(0)
samples = rng.normal(size=(8, 16)).astype(np.float32)
weight = rng.normal(0, 0.1, (16, 2)).astype(np.float32)
bias = np.array([3.0, -3.0], np.float32)
info = helper.make_tensor_value_info
graph = helper.make_graph(
    [helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="gemm", beta=2.0)],
    "net",
    [info("x", TensorProto.FLOAT, [1, 16])],
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


quantize_static(folder / "float.onnx", folder / "int8.onnx", Reader(), quant_format=QuantFormat.QDQ)


def answer(name, level=ort.GraphOptimizationLevel.ORT_DISABLE_ALL):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    session = ort.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": samples[:1]})[0][0]


want, seen = answer("float.onnx"), answer("int8.onnx")
print(f"expected: about {want}")
fused = answer("int8.onnx", ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
print(f"seen:     {seen}, which is {want - seen} off: the bias is {bias}")
print(f"          {fused} with optimizations")
assert np.allclose(want - seen, bias, atol=0.2), "the behaviour is another now"
EOF
