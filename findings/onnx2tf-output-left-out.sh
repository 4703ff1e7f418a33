#!/usr/bin/env bash
# onnx2tf 2.6.9 (Python 3.12): an LSTM of which only the last state is read gives all steps instead.
#
# An ONNX LSTM has three optional outputs: Y (all steps), Y_h (the last state), Y_c. One that is not
# needed is left out by an empty name, as the ONNX specification says and as exporters write it.
# Expected: with outputs "" and "y", y is Y_h: [1, 1, 7], as ONNX Runtime answers.
# Seen: y is Y, with the shape [9, 1, 1, 7], without an error or a warning; the declared shape of the
#   graph's output is passed over. With a name for the first output, y is Y_h.
# Workaround: give outputs that are left out a name before the conversion.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.12}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnx2tf==2.6.9
cd "$folder"
"$folder/venv/bin/python" - 2> "$folder/errors" <<'EOF' || { cat "$folder/errors" >&2; exit 1; }
import numpy as np
import onnx
import onnx2tf
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)
shapes = {"w": (1, 28, 4), "r": (1, 28, 7), "b": (1, 56)}
held = [numpy_helper.from_array(rng.normal(0, 0.5, s).astype(np.float32), n)
        for n, s in shapes.items()]
x = rng.normal(size=(9, 1, 4)).astype(np.float32)


def answers(first):
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", "w", "r", "b"], [first, "y"], hidden_size=7)],
        "lstm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [9, 1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 7])],
        held,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (wanted,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], {"x": x})
    folder = f"out-{first}"
    onnx2tf.convert(onnx_graph=model, output_folder_path=folder, non_verbose=True,
                    keep_shape_absolutely_input_names=["x"])
    interpreter = Interpreter(f"{folder}/model_float32.tflite")
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return wanted, interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


wanted, found = answers("")
_, named = answers("all")
print(f"expected: {list(wanted.shape)}")
print(f"seen:     {list(found.shape)}; with a name for the output left out: {list(named.shape)}")
assert found.shape != wanted.shape, "the behaviour is another now"
assert np.allclose(named, wanted, atol=1e-5), "the workaround does not work any more"
EOF
