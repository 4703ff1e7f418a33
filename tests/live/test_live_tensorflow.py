"""Keras models and tf.functions of the caller's process: used as they are, left as they were."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import edgeopt
from edgeopt.live import is_live, known, samples, tensorflow_program
from edgeopt.schema.errors import ModelError

keras: Any = sys.modules["keras"] if "keras" in sys.modules else __import__("keras")
# long: a process in which TensorFlow has computed cannot fork, as loaders with workers do
pytestmark = [pytest.mark.extras, pytest.mark.long]
SHORT: dict[str, Any] = {
    "targets": ["local/onnxruntime", "local/litert"],
    "passes": [{"one_of": ["export-onnx", "export-tflite"]}],
    "constraints": ["accuracy >= source - 50pt"],
    "objective": "size",
}


def network() -> Any:
    x = keras.Input((8, 8, 3), name="image")
    y = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    y = keras.layers.GlobalAveragePooling2D()(keras.layers.Dropout(0.3)(y))
    return keras.Model(x, keras.layers.Dense(2, name="scores")(y))


def images(n: int = 48) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(0, 1, (n, 8, 8, 3)).astype(np.float32)
    return x, (x.mean((1, 2, 3)) > 0).astype(np.int64)


def test_a_keras_model_and_a_dataset_make_both_formats(tmp_path: Path) -> None:
    """No torch is asked for; weights, seeds and the training state stay."""
    model, (x, y) = network(), images()
    model.compile("sgd", "mse")
    before = [variable.numpy() for variable in model.variables]
    states = random.getstate(), np.random.get_state()[1].copy()
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(7)
    result = edgeopt.optimize(model, data=data, race=False, store=tmp_path / "store", **SHORT)
    assert {t.verdict for t in result.targets} == {"chosen"}
    assert [t.candidates[0].label for t in result.targets] == ["export-onnx", "export-tflite"]
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, model.variables, strict=True))
    assert random.getstate() == states[0] and (np.random.get_state()[1] == states[1]).all()
    assert model.optimizer is not None
    assert result.recipe["model"]["path"].endswith(".keras")


def test_a_function_is_taken_by_its_signature(tmp_path: Path) -> None:
    weight = tf.Variable(np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32))
    spec = tf.TensorSpec([None, 8, 8, 3], tf.float32, name="image")

    @tf.function(input_signature=[spec])
    def scores(image: Any) -> dict[str, Any]:
        return {"scores": tf.reduce_mean(image, [1, 2]) @ weight}

    assert is_live(scores) and tensorflow_program.input_names(scores) == ["image"]
    result = edgeopt.optimize(scores, data=images(), race=False, store=tmp_path / "store", **SHORT)
    assert {t.verdict for t in result.targets} == {"chosen"}
    assert result.targets[0].candidates[0].measurements["accuracy"].value > 0


def test_what_tells_no_inputs_says_what_to_do() -> None:
    @tf.function
    def unsigned(image: Any) -> Any:
        return image

    with pytest.raises(ModelError, match="no input signature") as caught:
        tensorflow_program.input_names(unsigned)
    assert "input_signature=[" in caught.value.hint

    class Own(keras.Model):  # type: ignore[misc, name-defined]
        """Layers that are known only once it runs."""

        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(ModelError, match="tells no inputs") as caught:
        tensorflow_program.input_names(Own())
    assert "model.export(FOLDER)" in caught.value.hint


@pytest.mark.parametrize("form", ["batches", "samples", "arrays", "by name", "unknown sizes"])
def test_datasets_of_every_form_are_read_alike(form: str) -> None:
    x, y = images(40)
    whole = tf.data.Dataset.from_tensor_slices((x, y))
    free = tf.TensorSpec((None, 8, 8, 3), tf.float32), tf.TensorSpec((None,), tf.int64)
    data = {
        "batches": lambda: whole.batch(7),
        "samples": lambda: whole,
        "arrays": lambda: (tf.constant(x), tf.constant(y)),
        "by name": lambda: tf.data.Dataset.from_tensor_slices({"image": x, "label": y}).batch(8),
        "unknown sizes": lambda: tf.data.Dataset.from_generator(
            lambda: iter([(x[:9], y[:9]), (x[9:], y[9:])]), output_signature=free
        ),
    }[form]()
    found = samples.read(data, ["image"], lambda _count: None)
    joined = {
        name: np.concatenate([found["calibration"][name], found["validation"][name]])
        for name in ("image", "label")
    }
    assert np.array_equal(joined["image"], x) and np.array_equal(joined["label"], y)


def test_a_library_that_is_not_imported_has_no_classes() -> None:
    assert known("no_such_library", "Model") == ()
    assert not is_live(object())
