"""Keras models and SavedModels as ONNX and TFLite: answers, names, order, what cannot go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from passes_bench import Context

from edgeopt.agent.sessions.litert import Session
from edgeopt.agent.tf_network import keras, of_keras, tf
from edgeopt.formats import format_named
from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.describe import quantization_form
from edgeopt.models import tensorflow_graph
from edgeopt.schema.errors import PassError
from edgeopt.step import registry

layers = keras.layers
pytestmark = pytest.mark.extras


def exported(name: str, model: Any, tmp_path: Path, **fields: Any) -> tuple[Any, Context]:
    network = of_keras(model, "net.keras")
    described = tensorflow_graph.described("keras", network, {"float32"}, "net.keras")
    context = Context(tmp_path, described, {})
    made = registry()[name, "keras"](**fields).run(network, context)
    return made, context


def two_heads() -> Any:
    keras.utils.set_random_seed(0)
    image = layers.Input((12, 12, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, [layers.Dense(5, activation="softmax", name="scores")(x),
                               layers.Dense(2, name="box")(x)])  # fmt: skip


def recurrent(kind: type) -> Any:
    keras.utils.set_random_seed(0)
    return keras.Sequential([layers.Input((10, 4), name="signal"), kind(6),
                             layers.Dense(3, name="move")])  # fmt: skip


def test_onnx_answers_as_the_model_for_any_batch_under_its_names(tmp_path: Path) -> None:
    model = two_heads()
    made, _ = exported("export-onnx", model, tmp_path)
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["image"]
    assert [o.name for o in session.get_outputs()] == ["scores", "box"]
    assert session.get_inputs()[0].shape == ["batch", 12, 12, 3]
    for n in (1, 3):
        x = np.random.default_rng(n).normal(size=(n, 12, 12, 3)).astype(np.float32)
        for found, wanted in zip(session.run(None, {"image": x}), model(x, training=False),
                                 strict=True):  # fmt: skip
            np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("make", [two_heads, lambda: recurrent(layers.LSTM),
                                  lambda: recurrent(layers.GRU)])  # fmt: skip
def test_tflite_answers_as_the_model_in_its_order(tmp_path: Path, make: Any, batch: int) -> None:
    """Guards against files that convert without a word and answer NaN, and against outputs that
    the converter sorts by name."""
    model = make()
    made, context = exported("export-tflite", model, tmp_path, batch=batch)
    folder = tmp_path / "made"
    format_named("tflite").save(made, folder)
    session = Session(str(folder), "cpu", 1)
    names = [t.name for t in context.description.signature.outputs]
    assert session.outputs == names
    (taken,) = model.inputs
    x = np.random.default_rng(0).normal(size=(batch, *taken.shape[1:])).astype(np.float32)
    found = session.arrays(session.call(session.prepare({taken.name: x})))
    wanted = keras.tree.flatten(model(x, training=False))
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_a_gru_that_becomes_a_loop_is_told(tmp_path: Path) -> None:
    made, context = exported("export-onnx", recurrent(layers.GRU), tmp_path)
    loops = [node for node in made.graph.node if node.op_type == "Loop"]
    assert bool(loops) == any("became a Loop" in note for note in context.found.get("notes", []))
    _, of_lstm = exported("export-onnx", recurrent(layers.LSTM), tmp_path)
    assert not of_lstm.found.get("notes")


@pytest.mark.parametrize("kind", ["gelu", "celu"])
def test_activations_that_tf2onnx_writes_as_no_operator_of_onnx_are_composed(
    tmp_path: Path, kind: str
) -> None:
    x = layers.Input((6,), name="x")
    model = keras.Model(x, layers.Activation(kind, name="y")(layers.Dense(4)(x)))
    made, _ = exported("export-onnx", model, tmp_path)
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    fed = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    (found,) = session.run(None, {"x": fed})
    np.testing.assert_allclose(found, model(fed).numpy(), rtol=1e-5, atol=1e-6)


class Captured(layers.Layer):
    """It has a tensor that is no variable, as Normalization and many a tf.function have."""

    def build(self, shape: Any) -> None:
        self.held = tf.constant([1.0, -2.0, 3.0, 0.5])

    def call(self, x: Any) -> Any:
        return x * self.held


@pytest.mark.parametrize("make", [
    lambda: layers.Normalization(mean=[0.1, -0.2, 0.3, 0.4], variance=[2.0, 1.0, 0.5, 3.0]),
    lambda: layers.Conv2D(4, 3, groups=2), Captured,
], ids=["normalization", "grouped convolution", "captured tensor"])  # fmt: skip
def test_what_a_function_captures_or_compiles_whole_is_exported(tmp_path: Path, make: Any) -> None:
    x = layers.Input((6, 6, 4), name="x")
    model = keras.Model(x, layers.ReLU(name="y")(make()(x)))
    made, _ = exported("export-onnx", model, tmp_path)
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["x"]
    fed = np.random.default_rng(0).normal(size=(3, 6, 6, 4)).astype(np.float32)
    (found,) = session.run(None, {"x": fed})
    np.testing.assert_allclose(found, model(fed).numpy(), rtol=1e-5, atol=1e-5)


def test_an_operator_that_onnx_has_not_is_named(tmp_path: Path) -> None:
    class Lgamma(layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.math.lgamma(x)

    x = layers.Input((3,), name="x")
    with pytest.raises(PassError, match="Lgamma"):
        exported("export-onnx", keras.Model(x, Lgamma()(x)), tmp_path)


def test_an_operator_that_litert_has_not_is_named(tmp_path: Path) -> None:
    """Flex operators convert where they are allowed, and no Python runtime runs them."""

    class Inverse(layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.linalg.inv(x)

    x = layers.Input((3, 3), name="x")
    with pytest.raises(PassError, match="LiteRT has no operator for: MatrixInverse"):
        exported("export-tflite", keras.Model(x, Inverse()(x)), tmp_path)


def test_equal_calls_give_equal_bytes(tmp_path: Path) -> None:
    model = two_heads()
    for name in ("export-onnx", "export-tflite"):
        contents = []
        for k in range(2):
            (tmp_path / f"{name}{k}").mkdir()
            made, _ = exported(name, model, tmp_path / f"{name}{k}")
            contents.append(made if isinstance(made, bytes) else made.SerializeToString())
        assert contents[0] == contents[1], name


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_a_recurrent_savedmodel_traced_with_a_free_batch_becomes_tflite(
    tmp_path: Path, kind: type
) -> None:
    """Guards against loops that hold the free batch, which the converter calls Flex operators."""
    model, module = recurrent(kind), tf.Module()
    module.held = [variable.value for variable in model.variables]
    taken = tf.TensorSpec([None, 10, 4], tf.float32, name="signal")
    module.call = tf.function(
        lambda x: {"move": model(x, training=False), "also": x[:, 0]}, input_signature=[taken]
    )
    saved, folder = tmp_path / "saved", tmp_path / "made"
    tf.saved_model.save(module, str(saved), signatures={"serving_default": module.call})
    (saved / "model.json").write_text('{"signature": "serving_default"}')
    described = format_named("savedmodel").describe(saved)
    network = format_named("savedmodel").load(saved)
    context = Context(tmp_path, described, {})
    made = registry()["export-tflite", "savedmodel"](batch=2).run(network, context)
    format_named("tflite").save(made, folder)
    x = np.random.default_rng(0).normal(size=(2, 10, 4)).astype(np.float32)
    found = format_named("tflite").runner(folder)({"signal": x})
    np.testing.assert_allclose(
        found["move"], model(x, training=False).numpy(), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(found["also"], x[:, 0])


def test_static_int8_of_a_loop_is_refused_and_dynamic_is_made(tmp_path: Path) -> None:
    """TensorFlow's calibrator ends the process where a model has a loop."""
    with pytest.raises(PassError, match="cannot calibrate inside loops") as caught:
        exported("quantize-int8", recurrent(layers.LSTM), tmp_path, engine="tensorflow")
    assert "scheme: dynamic" in str(caught.value.hint)
    large = keras.Sequential([layers.Input((10, 32), name="signal"), layers.LSTM(48),
                              layers.Dense(32, name="move")])  # fmt: skip
    fields = {"engine": "tensorflow", "scheme": "dynamic"}
    made, _ = exported("quantize-int8", large, tmp_path, **fields)
    assert quantization_form(files.unpack(made, "made")) in ("dynamic", "weight-only")


def attending(rows: Any) -> Any:
    """Attention and a norm, which have no twins of their own in torch."""
    x = signal = layers.Input((10, 4), name="signal")
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)])
    x = layers.RMSNormalization()(x)
    return keras.Model(signal, layers.Dense(3, name="y")(rows(x)))


def pictures(rows: Any) -> Any:
    """An image, which lies otherwise in torch."""
    x = image = layers.Input((6, 5, 4), name="image")
    x = layers.GroupNormalization(2)(layers.Conv2D(4, 3)(x))
    return keras.Model(image, layers.Dense(3, name="y")(rows(x)))


@pytest.mark.parametrize("make", [attending, pictures])
def test_layers_without_twins_are_rebuilt_by_their_onnx_nodes(tmp_path: Path, make: Any) -> None:
    keras.utils.set_random_seed(0)
    model = make(layers.Flatten())
    folder, context = exported("to-torch", model, tmp_path)
    (note,) = context.found["notes"]
    assert "has no twin in torch: rebuilt from the network's ONNX graph" in note
    (taken,) = model.inputs
    x = np.random.default_rng(0).normal(size=(3, *taken.shape[1:])).astype(np.float32)
    fed = np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == 4 else x
    found = format_named("torch").runner(folder)({taken.name: fed})
    np.testing.assert_allclose(found["y"], model(x, training=False).numpy(), rtol=2e-4, atol=2e-5)


def test_a_layer_that_has_no_twin_in_onnx_either_is_named(tmp_path: Path) -> None:
    with pytest.raises(PassError, match=r"layer 'gru\w*' \(GRU\) cannot be rebuilt"):
        x = layers.Input((10, 4), name="x")
        exported("to-torch", keras.Model(x, layers.GRU(3, reset_after=False)(x)), tmp_path)
