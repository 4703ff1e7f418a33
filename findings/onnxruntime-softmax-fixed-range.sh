#!/usr/bin/env bash
# ONNX Runtime 1.32.0: static quantization gives a Softmax the range 0 to 1, whatever calibration saw.
#
# quantize_static calibrates every activation, and then puts 0 to 1 in place of what it found for the
# output of a Softmax (quantization/base_quantizer.py, adjust_tensor_ranges): steps of 0.0039. Where no
# class of 100 is likely, all probabilities lie near 0.01, two or three steps from 0.
# Expected: steps that suit the calibrated range, as of every other activation.
# Seen: the scale is 1 / 255, and the answers of all samples hold a handful of values between them.
# Workaround: give the range by TensorQuantOverrides (rmin, rmax), as is done here for comparison.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 sympy \
    ml-dtypes==0.6.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - 2> "$folder/errors" <<'EOF2' || { cat "$folder/errors" >&2; exit 1; }
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

dice = np.random.default_rng(0)
held = {
    "w": dice.normal(0, 0.05, (16, 100)).astype(np.float32),
    "b": dice.normal(0, 0.3, 100).astype(np.float32),
}
info = helper.make_tensor_value_info
graph = helper.make_graph(
    [helper.make_node("Gemm", ["x", "w", "b"], ["z"], name="layer"),
     helper.make_node("Softmax", ["z"], ["y"], name="softmax")],
    "net",
    [info("x", TensorProto.FLOAT, ["batch", 16])],
    [info("y", TensorProto.FLOAT, ["batch", 100])],
    [numpy_helper.from_array(value, name) for name, value in held.items()],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
          "float.onnx")
x = dice.normal(size=(256, 16)).astype(np.float32)


def answers(file):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


class Reader(CalibrationDataReader):
    def __init__(self):
        self.left = iter([{"x": x}])

    def get_next(self):
        return next(self.left, None)


def quantized(file, **options):
    quantize_static("float.onnx", file, Reader(), activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8, extra_options=options)
    scales = {t.name: numpy_helper.to_array(t) for t in onnx.load(file).graph.initializer}
    off = answers(file) - right
    return float(scales["y_scale"]), 10 * np.log10((right**2).mean() / (off**2).mean())


right = answers("float.onnx")
largest = float(right.max())
fixed, poor = quantized("fixed.onnx")
given = {"y": [{"rmin": np.float32(0), "rmax": np.float32(largest)}]}
suited, good = quantized("suited.onnx", TensorQuantOverrides=given)
print(f"largest probability in calibration: {largest:.4f}, so a scale of {largest / 255:.6f} is expected")
print(f"scale of the Softmax's output: {fixed:.6f}, {poor:.0f} dB of signal to noise")
print(f"with the range given:          {suited:.6f}, {good:.0f} dB")
assert largest < 0.1 and abs(fixed - 1 / 255) < 1e-5, "the behaviour is another now"
assert good > poor + 10, "the behaviour is another now"
EOF2
