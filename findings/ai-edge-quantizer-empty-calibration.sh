#!/usr/bin/env bash
# ai-edge-quantizer 0.10.0: calibration over samples gives {}, and quantize asks for calibration.
#
# Static INT8 with float inputs and outputs, of a file whose one operator is EMBEDDING_LOOKUP.
# Expected: an int8 table, as add_dynamic_config gives it; or a word that static has none for it.
# Seen: calibrate() runs all samples and returns {}: its policy has no static INT8 for the operator
#   (default_policy.py: static_wi8_ai8), which ALL_SUPPORTED then leaves out without a word. And
#   quantize() takes {} for no calibration at all (params_generator.py: `not model_qsvs`): "QSVs are
#   required [...] can be obtained by running calibration". With inputs and outputs quantized, too,
#   quantize() succeeds; the table is float32 as before, and the file larger.
# Way out: take {} for "nothing to quantize", or add_dynamic_config.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet \
    ai-edge-quantizer==0.10.0 ai-edge-litert==2.3.0 numpy==2.4.6
"$folder/venv/bin/python" - 2> "$folder/errors" <<'PYTHON' || { cat "$folder/errors" >&2; exit 1; }
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import qtyping, quantizer
from ai_edge_quantizer.algorithm_manager import AlgorithmName

TABLE = np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32)
names, types = qtyping.TFLOperationName, schema.TensorType


def network():
    """A file that looks four rows up in the table."""
    model, graph, data = schema.ModelT(), schema.SubGraphT(), schema.BufferT()
    data.data = np.frombuffer(TABLE.tobytes(), np.uint8)
    model.version, model.buffers, model.subgraphs = 3, [schema.BufferT(), data], [graph]
    code, op = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.EMBEDDING_LOOKUP
    code.version, model.operatorCodes, graph.operators = 1, [code], [op]
    graph.tensors = []
    for name, kind, shape, buffer in (
        ("ids", types.INT32, [4], 0), ("table", types.FLOAT32, list(TABLE.shape), 1),
        ("y", types.FLOAT32, [4, 16], 0),
    ):
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape, tensor.buffer = name.encode(), kind, shape, buffer
        graph.tensors.append(tensor)
    op.inputs, op.outputs = [0, 1], [2]
    graph.inputs, graph.outputs, signature = [0], [2], schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    for side, label, index in (("inputs", b"ids", 0), ("outputs", b"y", 2)):
        tensor = schema.TensorMapT()
        tensor.name, tensor.tensorIndex = label, index
        setattr(signature, side, [tensor])
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def table(made):
    """The type of the table in a quantized file, and the file's size."""
    content = bytes(made.quantized_model)
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    (kind,) = (t.type for t in graph.tensors if t.name == b"table")
    return {types.FLOAT32: "float32", types.INT8: "int8"}[kind], len(content)


def static(float_borders):
    """A quantizer for static INT8, and what its calibration finds in 16 samples."""
    made = quantizer.Quantizer(content)
    made.add_static_config(".*", names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    for border in (names.INPUT, names.OUTPUT) if float_borders else ():
        made.update_quantization_recipe(".*", border, algorithm_key=AlgorithmName.NO_QUANTIZE)
    samples = [{"ids": np.arange(4, dtype=np.int32) + n} for n in range(16)]
    return made, made.calibrate({"serving_default": samples})


content = network()
dynamic = quantizer.Quantizer(content)
dynamic.add_dynamic_config(".*", names.ALL_SUPPORTED, num_bits=8)
kind, size = table(dynamic.quantize(enable_progress_report=False))
print(f"expected: as with dynamic INT8: a table of {kind}, {size} bytes of {len(content)}")
made, found = static(float_borders=True)
try:
    made.quantize(found, enable_progress_report=False)
    said = ""
except RuntimeError as error:
    said = str(error)
print(f"seen:     calibration finds {found}; then: {said or 'no error'}")
made, ranges = static(float_borders=False)
left, grown = table(made.quantize(ranges, enable_progress_report=False))
print(f"          with inputs and outputs quantized, too: a table of {left}, {grown} bytes")
assert kind == "int8" and made.need_calibration
assert found == {} and "running calibration" in said, "the behaviour is another now"
assert left == "float32" and grown > len(content), "the behaviour is another now"
PYTHON
