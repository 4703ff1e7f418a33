#!/usr/bin/env bash
# ONNX Runtime 1.32.0: MatMulNBitsQuantizer passes over Gemm, and says nothing.
#
# A linear layer that is exported as Gemm (torch does so for inputs of two axes) is a product with a
# constant matrix as much as MatMul is. The quantizer looks at MatMul and Gather alone
# (quantization/matmul_nbits_quantizer.py): a network of Gemms comes back as it was, with no warning.
# Expected: weights of 4 bits, or an error that says that none were quantized.
# Seen: the same operators, all weights in float32, and a log without a word on it.
# Workaround: write each Gemm as MatMul and Add before the model is quantized.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 onnx-ir==1.1.0 \
    ml-dtypes==0.6.0 sympy numpy==2.4.6
"$folder/venv/bin/python" - 2> "$folder/errors" <<'EOF2' || { cat "$folder/errors" >&2; exit 1; }
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

weight = numpy_helper.from_array(np.ones((256, 256), np.float32), "w")
info = helper.make_tensor_value_info


def operators(op):
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"], ["y"], name=op)],
        "net",
        [info("x", TensorProto.FLOAT, [4, 256])],
        [info("y", TensorProto.FLOAT, [4, 256])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    quantizer = MatMulNBitsQuantizer(model)
    quantizer.process()
    made = quantizer.model.model.graph
    floats = [t.name for t in made.initializer if t.data_type == TensorProto.FLOAT and t.name == "w"]
    return [node.op_type for node in made.node], floats


product, layer = operators("MatMul"), operators("Gemm")
print(f"MatMul becomes {product[0]}, weights left in float32: {product[1]}")
print(f"Gemm becomes   {layer[0]}, weights left in float32: {layer[1]}; expected: as MatMul")
assert product == (["MatMulNBits"], []), "the behaviour is another now"
assert layer == (["Gemm"], ["w"]), "the behaviour is another now"
EOF2
said=$(grep -ciE "gemm.*(skip|not|ignor)" "$folder/errors" || true)
echo "lines of its log that tell of it: $said"
[ "$said" -eq 0 ]
