#!/usr/bin/env bash
# ONNX 1.23.2: version_converter takes Resize from opset 10 to 11 and later with other answers.
#
# Resize of opset 10 takes output pixel i from i / scale. From opset 11 on that is one of several
# modes (coordinate_transformation_mode "asymmetric"), and not the default ("half_pixel"). The
# adapter (version_converter/adapters/resize_10_11.h) adds the new input and writes no mode.
# Expected: the converted model answers as before.
# Seen: a linear Resize answers otherwise, without a warning.
# Workaround: add coordinate_transformation_mode="asymmetric", nearest_mode="floor" to each Resize.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - 2> "$folder/errors" <<'EOF' || { cat "$folder/errors" >&2; exit 1; }
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper, version_converter

info = helper.make_tensor_value_info
graph = helper.make_graph(
    [helper.make_node("Resize", ["x", "scales"], ["y"], mode="linear")],
    "net",
    [info("x", TensorProto.FLOAT, [1, 1, 1, 4])],
    [info("y", TensorProto.FLOAT, [1, 1, 1, 8])],
    [numpy_helper.from_array(np.array([1, 1, 1, 2], np.float32), "scales")],
)
opset = [helper.make_opsetid("", 10)]
before = helper.make_model(graph, opset_imports=opset, ir_version=8)
after = version_converter.convert_version(before, 13)
onnx.checker.check_model(after)


def answer(model):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)})[0].ravel()


want, seen = answer(before), answer(after)
print(f"expected: {want}, the answers at opset 10")
print(f"seen:     {seen}, those of the converted model")
assert not np.allclose(want, seen), "the behaviour is another now"
EOF
