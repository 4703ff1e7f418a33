#!/usr/bin/env bash
# tensorflow 2.21.0 with keras 3.15.0: a Keras 3 model converted from a concrete function answers NaN.
#
# A tf.function calls a Keras 3 model, and its concrete function goes to
# TFLiteConverter.from_concrete_functions with the model as the trackable object, as the converter's
# documentation has it and as it works with Keras 2.
# Expected: a file that answers as the model, or an error.
# Seen: the conversion succeeds without a word. The file reads its weights from resource variables
#   (VAR_HANDLE, READ_VARIABLE) that nothing initializes, because the converter looks for them among
#   what a tf.Module tracks, which a Keras 3 model's variables are not; a network with a convolution
#   and a batch normalization answers NaN.
# Workaround: let a tf.Module hold the tf.Variables themselves ([v.value for v in model.variables]),
#   save it with a signature, and convert that SavedModel; or freeze the function first.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet tensorflow==2.21.0 keras==3.15.0 numpy==2.4.6
export KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
"$folder/venv/bin/python" - "$folder" 2> "$folder/errors" <<'EOF' || { cat "$folder/errors" >&2; exit 1; }
import sys

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(0)
image = keras.layers.Input((8, 8, 3), name="image")
x = keras.layers.Conv2D(4, 3, use_bias=False)(image)
x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(x))
model = keras.Model(image, keras.layers.Dense(2)(x))
taken = tf.TensorSpec((1, 8, 8, 3), tf.float32, name="image")
function = tf.function(lambda image: model(image, training=False), input_signature=[taken])


def answer(content):
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
    interpreter.invoke()
    names = {op["op_name"] for op in interpreter._get_ops_details()}
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), names


sample = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
wanted = model(sample, training=False).numpy()
concrete = function.get_concrete_function()
made = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()
found, names = answer(made)

module = tf.Module()
module.held, module.call = [v.value for v in model.variables], function
tf.saved_model.save(module, f"{sys.argv[1]}/saved", signatures={"serving_default": function})
other, _ = answer(tf.lite.TFLiteConverter.from_saved_model(f"{sys.argv[1]}/saved").convert())
print(f"expected: {wanted}")
print(f"seen:     {found}, with {', '.join(sorted(names & {'VAR_HANDLE', 'READ_VARIABLE'}))}")
print(f"with a module that holds the variables: {other}")
assert np.isnan(found).all() and "READ_VARIABLE" in names, "the behaviour is another now"
assert np.allclose(other, wanted, atol=1e-5), "the workaround does not work any more"
EOF
