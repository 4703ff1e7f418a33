#!/usr/bin/env bash
# ONNX Runtime 1.32.0: the profile lists a node's inputs without the weights that its kernel packed,
# and those behind them move up.
#
# Gemm of x (5, 32), weights (32, 16) and a bias (16), profiled.
# Expected: `input_type_shape` has three entries, in the node's order.
# Seen: two: x, and the bias in the place of the weights; `parameter_size` has 64 bytes of 2112. A
#   kernel may pack a constant when the session is made; the constant is then released
#   (session_state.cc: PrepackConstantInitializedTensors), and the profiler passes over inputs that
#   have no tensor without keeping their place (sequential_executor.cc: CalculateTotalInputSizes).
#   Issue 17022 of its repository asks about it.
# Ways out: shapes of weights from the graph that optimized_model_filepath writes; or
#   session.disable_prepacking=1, with which other code runs than the one to be profiled.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - 2> "$folder/errors" <<'PYTHON' || { cat "$folder/errors" >&2; exit 1; }
import json
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)
x = rng.normal(size=(5, 32)).astype(np.float32)
weight, bias = rng.normal(size=(32, 16)).astype(np.float32), np.ones(16, np.float32)
info = helper.make_tensor_value_info
graph = helper.make_graph(
    [helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="gemm")],
    "net",
    [info("x", TensorProto.FLOAT, [5, 32])],
    [info("y", TensorProto.FLOAT, [5, 16])],
    [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
folder = tempfile.mkdtemp()


def profiled(**entries):
    """Shapes of the inputs and bytes of the parameters that the profile tells of the one node."""
    options = ort.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, f"{folder}/run"
    for name, value in entries.items():
        options.add_session_config_entry(f"session.{name}", value)
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    session.run(None, {"x": x})
    events = json.loads(Path(session.end_profiling()).read_text())
    (told,) = (e["args"] for e in events if e["name"] == "gemm_kernel_time")
    shapes = [shape for entry in told["input_type_shape"] for shape in entry.values()]
    return shapes, int(told["parameter_size"])


true = [list(array.shape) for array in (x, weight, bias)]
shapes, size = profiled()
kept, full = profiled(disable_prepacking="1")
print(f"expected: inputs {true}, parameters of {weight.nbytes + bias.nbytes} bytes")
print(f"seen:     inputs {shapes}, parameters of {size} bytes")
print(f"          inputs {kept}, parameters of {full} bytes without packing")
assert kept == true and full == weight.nbytes + bias.nbytes
assert shapes == [true[0], true[2]] and size == bias.nbytes, "the behaviour is another now"
PYTHON
