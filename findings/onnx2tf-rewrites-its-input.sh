#!/usr/bin/env bash
# onnx2tf 2.6.9 (Python 3.12): converting an ONNX file overwrites that file.
#
# A valid ONNX file is converted into another folder (input_onnx_file_path, output_folder_path).
# Expected: the source stays as it is, byte for byte, as a converter's input does.
# Seen: the file is another one afterwards: onnx2tf names its nodes in place and has onnxsim write
#   its result to the same path (_run_onnxsim_inplace_safely in onnx2tf.py). Whoever keeps models by
#   their digest, or in version control, finds them changed.
# Workaround: convert a copy, or give onnx_graph=onnx.load(FILE).
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.12}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnx2tf==2.6.9
cd "$folder"
"$folder/venv/bin/python" - 2> "$folder/errors" <<'EOF' || { cat "$folder/errors" >&2; exit 1; }
import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnx2tf
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)
weight = numpy_helper.from_array(rng.normal(size=(4, 3, 3, 3)).astype(np.float32), "w")
graph = helper.make_graph(
    [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Identity", ["c"], ["i"]),
        helper.make_node("Relu", ["i"], ["y"]),
    ],
    "net",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 6, 6])],
    [weight],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
file = Path("given.onnx")
onnx.save(model, file)


def told():
    names = [node.name or "unnamed" for node in onnx.load(file).graph.node]
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12], names


before = told()
onnx2tf.convert(input_onnx_file_path=str(file), output_folder_path="out", non_verbose=True)
after = told()
print(f"expected: given.onnx is {before[0]} {before[1]} before and after")
print(f"seen:     {after[0]} {after[1]} after")
assert before != after, "the behaviour is another now"
onnx.save(model, file)
onnx2tf.convert(onnx_graph=onnx.load(file), output_folder_path="out", non_verbose=True)
assert told() == before, "the workaround does not work any more"
EOF
