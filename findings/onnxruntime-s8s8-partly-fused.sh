#!/usr/bin/env bash
# ONNX Runtime 1.32.0 on x86: with int8 activations and weights, the defaults of quantize_static, a
# part of the network runs on integers and the rest in float, whatever the CPU can do.
#
# A residual network of 9 convolutions as QDQ, with int8 activations and with uint8 ones.
# Expected: the same kernels for both. Of int8 for both the documentation says "It should be the
#   first choice" (on the CPU); the docstring names uint8 for x86, but not what int8 costs there.
# Seen: with uint8 all 9 become QLinearConv; with int8, 4 do, and 5 Convs and all sums compute in
#   float between quantizers. On x86 a Conv fuses with uint8 activations only (qdq_selectors.cc:
#   ConvNodeGroupSelector; QDQIsInt8Allowed is false at compile time except on ARM), so the
#   optimizer first makes int8 pairs uint8, but just those whose QuantizeLinear has a single reader
#   (qdq_s8_to_u8.cc: CheckOutputEdges(graph, node, 1)). What a shortcut reads has two; it stays
#   int8, and what reads or writes it stays float. Without the shortcuts all 9 fuse. None of this
#   asks for the CPU's instructions, unless session.x64quantprecision is set.
# Way out: activation_type=QuantType.QUInt8.
# Exits with 1 once the behaviour is another, with 2 on other machines than x86.
set -euo pipefail
case "$(uname -m)" in
    x86_64 | amd64 | i?86) ;;
    *)
        echo "this concerns x86 alone, and the machine is $(uname -m)" >&2
        exit 2
        ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 sympy numpy==2.4.6
"$folder/venv/bin/python" - 2> "$folder/errors" <<'PYTHON' || { cat "$folder/errors" >&2; exit 1; }
import collections
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

rng = np.random.default_rng(0)
folder = Path(tempfile.mkdtemp())
samples = rng.normal(size=(4, 1, 3, 16, 16)).astype(np.float32)


def network(shortcuts):
    """A stem, four blocks of two convolutions, and a mean; 9 convolutions."""
    nodes, weights = [], []

    def conv(x, y, into):
        weight = rng.normal(size=(8, into, 3, 3)) / np.sqrt(9 * into)
        weights.append(numpy_helper.from_array(weight.astype(np.float32), f"{y}.w"))
        weights.append(numpy_helper.from_array(np.full(8, 0.1, np.float32), f"{y}.b"))
        inputs = [x, f"{y}.w", f"{y}.b"]
        nodes.append(helper.make_node("Conv", inputs, [y], name=y, pads=[1] * 4))
        return y

    def node(kind, *inputs):
        y = f"{inputs[-1]}.{kind}"
        nodes.append(helper.make_node(kind, inputs, [y], name=y))
        return y

    x = node("Relu", conv("x", "stem", 3))
    for block in range(4):
        inner = node("Relu", conv(x, f"first{block}", 8))
        inner = conv(inner, f"second{block}", 8)
        x = node("Relu", node("Add", x, inner) if shortcuts else inner)
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["y"], name="pool"))
    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, samples.shape[1:])]
    outputs = [info("y", TensorProto.FLOAT, [1, 8, 1, 1])]
    graph = helper.make_graph(nodes, "net", inputs, outputs, weights)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "float.onnx")


class Reader(CalibrationDataReader):
    def __init__(self):
        self.feeds = iter(samples)

    def get_next(self):
        x = next(self.feeds, None)
        return None if x is None else {"x": x}


def kernels(activation):
    """Operators of the optimized graph; the level without layouts of one CPU or another."""
    quantize_static(
        folder / "float.onnx", folder / "int8.onnx", Reader(), quant_format=QuantFormat.QDQ,
        per_channel=True, activation_type=activation, weight_type=QuantType.QInt8,
    )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    ort.InferenceSession(folder / "int8.onnx", options, providers=["CPUExecutionProvider"])
    made = onnx.load(folder / "optimized.onnx").graph
    return collections.Counter(node.op_type for node in made.node)


def told(found):
    return ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))


network(shortcuts=True)
unsigned, signed = kernels(QuantType.QUInt8), kernels(QuantType.QInt8)
network(shortcuts=False)
straight = kernels(QuantType.QInt8)
print(f"expected: as with uint8 activations: {told(unsigned)}")
print(f"seen:     with int8 activations:     {told(signed)}")
print(f"          without shortcuts, int8:   {told(straight)}")
assert unsigned["QLinearConv"] == straight["QLinearConv"] == 9, "the behaviour is another now"
assert (signed["QLinearConv"], signed["Conv"], signed["Add"]) == (4, 5, 4), (
    "the behaviour is another now"
)
PYTHON
