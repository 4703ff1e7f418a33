#!/usr/bin/env bash
# ai-edge-quantizer 0.10.0: an int32 bias that overflows becomes -2147483648, whatever its sign.
#
# A bias counts in steps of input scale times weight scale. Tiny weights beside an ordinary bias, or a
# channel of zeros (pruned, or switched off by its batch norm), make that step so small that 32 bits
# do not reach the bias.
# Expected: a larger scale for such channels, as TensorFlow Lite's own quantizer and ONNX Runtime's
#   (pull request 22020) do it, or an error.
# Seen: a bias of 5 is clipped to 2147483647.0 in float32, which is 2147483648.0, and cast to int32,
#   which on x86-64 gives the smallest number (algorithms/uniform_quantize/uniform_quantize_tensor.py:
#   _round_and_clip_inplace, assign_quantized_type; check_error is off). The layer answers about 0.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet ai-edge-quantizer==0.10.0 ai-edge-litert==2.3.0 numpy==2.4.6
"$folder/venv/bin/python" - 2> "$folder/errors" <<'EOF' || { cat "$folder/errors" >&2; exit 1; }
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
    name = {"FULLY_CONNECTED": "FullyConnectedOptions", "ADD": "AddOptions"}[kind]
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


def tensors(content):
    graph = schema.ModelT.InitFromPackedBuf(content, 0)
    return {t.name.decode(): (t, graph.buffers[t.buffer].data) for t in graph.subgraphs[0].tensors}


rng = np.random.default_rng(0)
weight, bias = rng.normal(size=(2, 8)) * 1e-6, np.array([5, -4.5])
content = network("FULLY_CONNECTED", [("w", weight), ("b", bias)], 2)
samples = rng.normal(size=(32, 8)).astype(np.float32)
made = quantized(content, samples)
codes = np.frombuffer(bytes(tensors(made)["b"][1]), np.int32)
model = interpreter.Interpreter(model_content=made)
model.allocate_tensors()
scale, zero_point = model.get_input_details()[0]["quantization"]
model.set_tensor(0, np.clip(np.rint(samples[:1] / scale) + zero_point, -128, 127).astype(np.int8))
model.invoke()
given = model.get_output_details()[0]
scale, zero_point = given["quantization"]
answer = (model.get_tensor(given["index"]).astype(float) - zero_point) * scale
print(f"expected: answers of about {bias}")
print(f"seen:     answers of {answer[0]}, codes of the bias {codes}")
assert np.abs(answer).max() < 1, "the behaviour is another now"
EOF
