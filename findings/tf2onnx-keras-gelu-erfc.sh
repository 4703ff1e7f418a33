#!/usr/bin/env bash
# tf2onnx 1.17.0 with Keras 3.15.0 and TensorFlow 2.21.0: a network with GELU becomes a file with an
# operator that ONNX does not have.
#
# A Dense layer with activation="gelu", through tf2onnx.convert.from_keras at opset 18.
# Expected: operators of ONNX, or an error that says what cannot be converted.
# Seen: a node Erfc in ONNX's own domain, with which no runtime loads the file; nothing is said.
#   TensorFlow 2.21 computes the exact GELU by erfc, and tf2onnx passes elementwise
#   operators of one input on under their own name. Likewise Expm1 of activation="celu".
# Way out: Erfc(x) as 1 - Erf(x), Expm1(x) as Exp(x) - 1, written after the conversion.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder" TF_CPP_MIN_LOG_LEVEL=3
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet tensorflow==2.21.0 keras==3.15.0 tf2onnx==1.17.0 \
    onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" 2> "$folder/errors" <<'PYTHON' || { cat "$folder/errors" >&2; exit 1; }
import keras
import onnx
import onnxruntime
import tf2onnx

for kind, operator in (("relu", None), ("gelu", "Erfc"), ("celu", "Expm1")):
    x = keras.layers.Input((4,), name="x")
    network = keras.Model(x, keras.layers.Dense(3, activation=kind)(x))
    made, _ = tf2onnx.convert.from_keras(network, opset=18)
    unknown = [n.op_type for n in made.graph.node if not onnx.defs.has(n.op_type, n.domain)]
    try:
        onnxruntime.InferenceSession(made.SerializeToString())
        said = "loads"
    except Exception as error:
        said = str(error)[:150]
    print(f"{kind}: expected no operator beyond ONNX's, seen {unknown}; ONNX Runtime: {said}")
    assert unknown == ([operator] if operator else []), "the behaviour is another now"
    assert (said == "loads") == (operator is None)
PYTHON
