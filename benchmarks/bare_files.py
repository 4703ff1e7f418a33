"""From a model's file to its artifacts by bare library calls, as a script of a few lines would.

    python benchmarks/bare_files.py {keras,savedmodel,onnx,torch} FOLDER [--onnx2tf PYTHON]

ONNX and TFLite in float and in static INT8, calibrated on 512 samples, and one run of each for
parity. ``onnx`` has TFLite made by onnx2tf, run by ``PYTHON``. ``torch`` has neural-compressor find
the ranges: its module can be exported to ONNX (with float weights), but litert-torch refuses it, so
the INT8 TFLite file that edgeopt makes has no bare twin.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

MODELS = Path(__file__).resolve().parents[1] / "models"
SAMPLES = 512
ONNX2TF = "import onnx2tf, sys; onnx2tf.convert(sys.argv[1], output_folder_path=sys.argv[2], \
keep_shape_absolutely_input_names=['image'], copy_onnx_input_output_names_to_tflite=True, \
non_verbose=True)"


def images(axis: int) -> np.ndarray:
    """Samples of Fashion-MNIST, (n, 28, 28) and one channel at ``axis``."""
    with np.load(MODELS / "fashion_mnist" / "fashion_mnist.npz") as data:
        raw = np.expand_dims(data["train.images"][:SAMPLES], axis)
    ready: np.ndarray = ((raw.astype(np.float32) / 255 - 0.286) / 0.353).astype(np.float32)
    return ready


def spectra() -> np.ndarray:
    """Samples of the keyword set."""
    with np.load(MODELS / "keywords" / "keywords.npz") as data:
        ready: np.ndarray = data["train.spectra"][:SAMPLES].astype(np.float32) / 16
    return ready


def keras(folder: Path) -> None:
    """By tf2onnx, and by TensorFlow's converter from the SavedModel that Keras exports."""
    import tensorflow as tf
    import tf2onnx

    x = images(-1)
    model = tf.keras.models.load_model(MODELS / "keras_images" / "source.keras", compile=False)
    specs = [tf.TensorSpec((None, *x.shape[1:]), tf.float32, name="image")]
    tf2onnx.convert.from_keras(
        model, input_signature=specs, opset=18, output_path=str(folder / "model.onnx")
    )
    fixed = [tf.keras.InputSpec(shape=(1, *x.shape[1:]), dtype="float32", name="image")]
    model.export(folder / "saved", input_signature=fixed, verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
    (folder / "model.tflite").write_bytes(converter.convert())
    model(x[:1])
    onnx_int8(folder / "model.onnx", "image", x)
    tflite_int8(folder / "model.tflite", x)


def savedmodel(folder: Path) -> None:
    """By tf2onnx, and by TensorFlow's converter at a batch of 1."""
    import tensorflow as tf
    import tf2onnx

    x = spectra()
    model = tf.saved_model.load(MODELS / "keywords" / "source")
    served = model.signatures["serving_default"]
    (name,) = served.structured_input_signature[1]
    specs = [tf.TensorSpec((n, *x.shape[1:]), tf.float32, name=name) for n in (None, 1)]
    free, fixed = (
        tf.function(lambda given: served(**{name: given}), input_signature=[spec]) for spec in specs
    )
    tf2onnx.convert.from_function(
        free, input_signature=specs[:1], opset=18, output_path=str(folder / "model.onnx")
    )
    module = tf.Module()
    module.call = with_fixed_lists(fixed)
    tf.saved_model.save(module, str(folder / "saved"), {"serving_default": module.call})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
    (folder / "model.tflite").write_bytes(converter.convert())
    served(**{name: tf.constant(x[:1])})
    onnx_int8(folder / "model.onnx", name, x)
    tflite_int8(folder / "model.tflite", x, "dynamic")


def with_fixed_lists(function: Any) -> Any:
    """The function with its loops' lists at the batch of 1, without which the converter fails."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(
        function.get_concrete_function(), lower_control_flow=False, aggressive_inlining=True
    )
    graph = frozen.graph.as_graph_def()
    for nodes in (graph.node, *(each.node_def for each in graph.library.function)):
        constants = {node.name: node for node in nodes if node.op == "Const"}
        lists = [node for node in nodes if node.op.startswith("TensorList")]
        for held in (constants[n] for node in lists for n in node.input if n in constants):
            shape = tf.make_ndarray(held.attr["value"].tensor)
            if shape.ndim == 1 and shape.size > 1 and shape[0] == -1:
                fixed = np.array([1, *shape[1:]], shape.dtype)
                held.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(fixed))
    (taken,), (given,) = frozen.inputs, frozen.outputs
    return tf.function(
        lambda x: tf.graph_util.import_graph_def(
            graph, {taken.name.partition(":")[0]: x}, [given.name], name=""
        ),
        input_signature=[tf.TensorSpec(taken.shape, taken.dtype, name="spectra")],
    )


def onnx(folder: Path, python: str) -> None:
    """The file as it is, and TFLite by onnx2tf in an environment of its own."""
    x, source = images(1), MODELS / "fashion_mnist" / "source.onnx"
    for name in ("model.onnx", "copy.onnx"):  # onnx2tf rewrites the file that it reads
        (folder / name).write_bytes(source.read_bytes())
    command = [python, "-c", ONNX2TF, str(folder / "copy.onnx"), str(folder / "made")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (made,) = (folder / "made").glob("*_float32.tflite")
    onnx_int8(folder / "model.onnx", "image", x)
    tflite_int8(made, x)


def torch(folder: Path) -> None:
    """Ranges by neural-compressor; ONNX by torch, TFLite by litert-torch, both in float."""
    import sys

    import litert_torch
    import torch
    from neural_compressor.torch.export import export
    from neural_compressor.torch.quantization import StaticQuantConfig, convert, prepare
    from safetensors.torch import load_file

    sys.path.insert(0, str(MODELS / "fashion_mnist"))
    import net

    x = torch.from_numpy(images(1))
    model = net.resnet().eval()
    model.load_state_dict(load_file(MODELS / "fashion_mnist" / "source.safetensors"))
    batch = torch.export.Dim("batch", min=2)
    prepared = prepare(export(model, (x[:2],), dynamic_shapes=({0: batch},)), StaticQuantConfig())
    with torch.no_grad():
        for batch_of_32 in x.split(32):
            prepared(batch_of_32)
        quantized = convert(prepared)
        model(x[:1])
    for name, each in (("float", model), ("int8", quantized)):
        program = torch.onnx.export(
            each, (x[:2],), dynamo=True, dynamic_shapes=({0: batch},), verbose=False
        )
        assert program is not None
        program.save(folder / f"{name}.onnx")
        run_onnx(folder / f"{name}.onnx", x[:1].numpy())
    litert_torch.convert(model, (x[:1],)).export(str(folder / "float.tflite"))
    run_tflite(folder / "float.tflite", x[:1].numpy())


def simplified(file: Path) -> Path:
    """The file after onnxsim."""
    import onnx
    import onnxsim

    simple, sound = onnxsim.simplify(onnx.load(file))
    assert sound
    onnx.save(simple, file.with_name("simple.onnx"))
    return file.with_name("simple.onnx")


def onnx_int8(file: Path, name: str, x: np.ndarray) -> None:
    """Simplify, quantize by ONNX Runtime, run both."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    simple = simplified(file)
    prepared, made = (str(file.with_name(n)) for n in ("prepared.onnx", "int8.onnx"))
    quant_pre_process(str(simple), prepared)

    class Reader:
        def __init__(self) -> None:
            self.feeds = iter(x)

        def get_next(self) -> dict[str, np.ndarray] | None:
            sample = next(self.feeds, None)
            return None if sample is None else {name: sample[None]}

    quantize_static(
        prepared, made, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    for each in (str(simple), made):
        run_onnx(Path(each), x[:1])


def tflite_int8(file: Path, x: np.ndarray, scheme: str = "static") -> None:
    """Quantize by ai-edge-quantizer, run both. Loops can be quantized without calibration only."""
    from ai_edge_quantizer import quantizer, recipe

    made = file.with_name("int8.tflite")
    if scheme == "dynamic":
        edge = quantizer.Quantizer(str(file), recipe.dynamic_wi8_afp32())
        edge.quantize().export_model(str(made))
    else:
        edge = quantizer.Quantizer(str(file), recipe.static_wi8_ai8())
        (name,) = interpreter(file).get_signature_runner().get_input_details()
        ranges = edge.calibrate({"serving_default": [{name: sample[None]} for sample in x]})
        edge.quantize(ranges).export_model(str(made))
    for each in (file, made):
        run_tflite(each, x[:1])


def run_onnx(file: Path, x: np.ndarray) -> None:
    """One inference in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    session.run(None, {session.get_inputs()[0].name: x})


def interpreter(file: Path) -> Any:
    """LiteRT with the file in it."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(file), num_threads=1)


def run_tflite(file: Path, x: np.ndarray) -> None:
    """One inference in LiteRT."""
    runner = interpreter(file).get_signature_runner()
    (entry,) = runner.get_input_details().items()
    assert list(entry[1]["shape"]) == list(x.shape), "inputs keep their order of axes"
    runner(**{entry[0]: x.astype(entry[1]["dtype"])})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", choices=("keras", "savedmodel", "onnx", "torch"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--onnx2tf")
    asked = parser.parse_args()
    if asked.source == "onnx":
        onnx(asked.folder, asked.onnx2tf)
    else:
        globals()[asked.source](asked.folder)
