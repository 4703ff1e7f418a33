#!/usr/bin/env bash
# ai-edge-quantizer 0.10.0 with LiteRT 2.3.0: a layer that is 0 in calibration makes a file that
# LiteRT refuses to load.
#
# A layer whose ReLU gives 0 for all calibration samples gets the range 1e-9, so steps of 3.9e-12
# (tensor_zp_scale_from_min_max: min_bound).
# Expected: a file that loads; the tensor is 0.
# Seen: XNNPACK refuses the file ("failed to create XNNPACK runtime": input scale times weight scale
#   over output scale is beyond 256). LiteRT's own kernels may end the process on a range like that.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet ai-edge-quantizer==0.10.0 ai-edge-litert==2.3.0 numpy==2.4.6
"$folder/venv/bin/python" - 2> "$folder/errors" <<'EOF' || { cat "$folder/errors" >&2; exit 1; }
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert import interpreter, schema_py_generated as schema
from ai_edge_quantizer import qtyping, quantizer
import flatbuffers


def network(kind, constants, sizes, relu=False):
    """A file of one operator on x (1, 8): its constants and its output (1, sizes)."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, model.subgraphs = 3, [schema.BufferT()], [graph]
    code, op = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version, model.operatorCodes, graph.operators = 1, [code], [op]
    name = {"FULLY_CONNECTED": "FullyConnectedOptions"}[kind]
    op.builtinOptionsType = getattr(schema.BuiltinOptions, name)
    op.builtinOptions = getattr(schema, name + "T")()
    op.builtinOptions.fusedActivationFunction = int(relu)
    graph.tensors = []
    for label, value in [("x", (1, 8)), *constants, ("y", (1, sizes))]:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = label.encode(), schema.TensorType.FLOAT32, 0
        tensor.shape = list(value if isinstance(value, tuple) else value.shape)
        if not isinstance(value, tuple):
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(value.astype(np.float32).tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        graph.tensors.append(tensor)
    last = len(graph.tensors) - 1
    op.inputs, op.outputs = list(range(last)), [last]
    graph.inputs, graph.outputs, signature = [0], [last], schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    for side, label, index in (("inputs", b"x", 0), ("outputs", b"y", last)):
        tensor = schema.TensorMapT()
        tensor.name, tensor.tensorIndex = label, index
        setattr(signature, side, [tensor])
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def quantized(content, samples):
    """Static INT8 as the library's README has it."""
    made = quantizer.Quantizer(content)
    every = qtyping.TFLOperationName.ALL_SUPPORTED
    made.add_static_config(".*", every, activation_num_bits=8, weight_num_bits=8)
    found = made.calibrate({"serving_default": [{"x": x[None]} for x in samples]})
    return bytes(made.quantize(found, enable_progress_report=False).quantized_model)


weight, low = np.random.default_rng(0).normal(size=(8, 8)), np.full(8, -100)
samples = np.random.default_rng(1).normal(size=(32, 8)).astype(np.float32)
path = Path(tempfile.mkdtemp()) / "layer.tflite"
path.write_bytes(
    quantized(network("FULLY_CONNECTED", [("w", weight), ("b", low)], 8, relu=True), samples)
)
LOAD = """
import sys
from ai_edge_litert.interpreter import Interpreter
Interpreter(model_path=sys.argv[1]).allocate_tensors()
"""
print("expected: the file loads")
done = subprocess.run([sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True)
last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "loaded"
print(f"seen:     exit status {done.returncode}, {last}")
assert done.returncode == 1 and "XNNPACK" in done.stderr, "the behaviour is another now"
EOF
