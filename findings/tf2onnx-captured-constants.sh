#!/usr/bin/env bash
# tf2onnx 1.17.0 with TensorFlow 2.21.0: tensors that a tf.function captures become inputs of the
# ONNX model, and their values are lost.
#
# A function of one input that multiplies it with a constant made outside, through
# tf2onnx.convert.from_function; and a Keras network with a Normalization layer, which holds its
# mean and spread as such constants.
# Expected: one input; the constants are initializers.
# Seen: an input for each constant, and no initializer of its value, so that who runs the model must
#   know it. from_function takes all of the concrete function's inputs that are no resources, and
#   those of captured tensors are among them (convert.py: from_function); from_keras leaves them out.
# Way out: convert_variables_to_constants_v2 first, and a tf.function around the frozen graph.
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
import numpy as np
import tensorflow as tf
import tf2onnx

held = tf.constant([1.0, -2.0, 3.0, 0.5])
x = keras.layers.Input((4,), name="x")
network = keras.Model(x, keras.layers.Normalization(mean=np.ones(4), variance=np.ones(4))(x))
for what, call in (("a captured tensor", lambda x: x * held), ("Normalization", network)):
    spec = [tf.TensorSpec((None, 4), tf.float32, name="x")]
    function = tf.function(lambda x, call=call: call(x), input_signature=spec)
    made, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=18)
    inputs = [value.name for value in made.graph.input]
    print(f"{what}: expected inputs ['x'], seen {inputs}; "
          f"initializers {[value.name for value in made.graph.initializer]}")
    assert inputs[0] == "x" and len(inputs) > 1, "the behaviour is another now"
    assert not set(inputs) & {value.name for value in made.graph.initializer}
by_keras, _ = tf2onnx.convert.from_keras(network, input_signature=spec, opset=18)
assert [value.name for value in by_keras.graph.input] == ["x"]
PYTHON
