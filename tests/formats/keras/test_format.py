"""Keras models: names, order, free sizes, classes of the user's own, files of Keras 2."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from edgeopt.agent.tf_network import keras
from edgeopt.formats import format_named
from edgeopt.schema.errors import ModelError

layers = keras.layers
pytestmark = pytest.mark.extras
FORMAT = format_named("keras")


def gathered(model: Any, tmp_path: Path, name: str = "net.keras", **spec: Any) -> Path:
    model.save(tmp_path / name)
    into = tmp_path / "into"
    into.mkdir()
    FORMAT.gather({"path": name, **spec}, tmp_path, into, {})
    return into


def two_heads() -> Any:
    image = layers.Input((8, 8, 3), name="image")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    return keras.Model(image, [layers.Dense(5, name="scores")(x), layers.Dense(2, name="box")(x)])


def test_names_and_order_are_the_model_s(tmp_path: Path) -> None:
    model = two_heads()
    folder = gathered(model, tmp_path)
    described = FORMAT.describe(folder)
    (image,) = described.signature.inputs
    assert (image.name, image.shape, image.layout) == ("image", ("batch", 8, 8, 3), "NHWC")
    assert [t.name for t in described.signature.outputs] == ["scores", "box"]
    assert described.facts == {"float32"}
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)
    found = FORMAT.runner(folder)({"image": x})
    for name, wanted in zip(("scores", "box"), model(x, training=False), strict=True):
        np.testing.assert_allclose(found[name], wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_a_sequential_s_output_is_called_as_its_last_layer(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((20, 4), name="signal"), layers.GRU(6),
                              layers.Dense(3, name="move")])  # fmt: skip
    described = FORMAT.describe(gathered(model, tmp_path))
    assert [t.name for t in described.signature.inputs] == ["signal"]
    assert [(t.name, t.shape) for t in described.signature.outputs] == [("move", ("batch", 3))]


def test_inputs_and_outputs_in_dictionaries_keep_their_keys(tmp_path: Path) -> None:
    a, b = layers.Input((3,), name="a"), layers.Input((3,), name="b")
    both = layers.Concatenate()([a, b])
    model = keras.Model({"b": b, "a": a}, {"z": layers.Dense(2)(both), "y": layers.Dense(1)(both)})
    folder = gathered(model, tmp_path)
    feeds = {name: np.random.default_rng(k).normal(size=(2, 3)).astype(np.float32)
             for k, name in enumerate("ab")}  # fmt: skip
    found = FORMAT.runner(folder)(feeds)
    wanted = model(feeds, training=False)
    assert set(found) == {"y", "z"}
    for name in found:
        np.testing.assert_allclose(found[name], wanted[name].numpy(), rtol=1e-5, atol=1e-6)


def test_a_size_that_stays_free_is_named_by_its_axis(tmp_path: Path) -> None:
    x = layers.Input((None, 4), name="x")
    described = FORMAT.describe(gathered(keras.Model(x, layers.Conv1D(3, 3)(x)), tmp_path))
    assert described.signature.inputs[0].shape == ("batch", "x.1", 4)


def test_equal_hdf5_files_become_equal_artifacts(tmp_path: Path) -> None:
    model = two_heads()
    contents = []
    for k in range(2):
        (tmp_path / str(k)).mkdir()
        contents.append((gathered(model, tmp_path / str(k), "net.h5") / "model.keras").read_bytes())
    assert contents[0] == contents[1]


def test_macs_are_those_of_one_sample(tmp_path: Path) -> None:
    inspected = FORMAT.inspect(gathered(two_heads(), tmp_path))
    assert inspected.macs == 6 * 6 * 4 * 27 + 4 * 5 + 4 * 2
    assert inspected.parameters == 27 * 4 + 4 + 4 * 5 + 5 + 4 * 2 + 2
    assert inspected.operators["Dense"] == 2


MINE = """
import keras


class Scaled(keras.layers.Layer):
    def __init__(self, by=2.0, **rest):
        super().__init__(**rest)
        self.by = by

    def call(self, x):
        return x * self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}
"""


def test_a_class_of_the_user_s_own_is_taken_by_name_alone(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(MINE)
    namespace: dict[str, Any] = {"__name__": "parts"}
    exec(MINE, namespace)
    x = layers.Input((4,), name="x")
    model = keras.Model(x, namespace["Scaled"](3.0, name="thrice")(layers.Dense(2)(x)))
    with pytest.raises(ModelError, match="layer 'thrice'") as caught:
        gathered(model, tmp_path)
    assert "model.custom_objects" in str(caught.value.hint)
    into = tmp_path / "again"
    into.mkdir()
    spec = {"path": "net.keras", "custom_objects": ["parts.py:Scaled"]}
    assert "code/parts.py" in FORMAT.sources(spec, tmp_path)
    FORMAT.gather(spec, tmp_path, into, {})
    (tmp_path / "parts.py").unlink()  # the artifact has its own copy
    feed = np.ones((2, 4), np.float32)
    wanted = model(feed, training=False).numpy()
    np.testing.assert_allclose(next(iter(FORMAT.runner(into)({"x": feed}).values())), wanted,
                               rtol=1e-5)  # fmt: skip


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_a_file_with_fields_of_keras_2_opens_and_answers_the_same(
    tmp_path: Path, name: str
) -> None:
    """As Keras 2 wrote them; a real tf-keras writes them in tests/e2e/test_keras_2.py."""
    x = layers.Input((8, 8, 3), name="image")
    y = layers.DepthwiseConv2D(3, name="deep")(x)
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))
    model.save(tmp_path / name)
    path = tmp_path / name

    def older(text: bytes | str) -> str:
        config = json.loads(text)
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "DepthwiseConv2D":
                layer["config"]["groups"] = 1
        return json.dumps(config)

    if name.endswith(".h5"):
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = older(file.attrs["model_config"])
            file.attrs["keras_version"] = "2.15.0"
    else:
        with zipfile.ZipFile(path) as archive:
            parts = {each: archive.read(each) for each in archive.namelist()}
        parts["config.json"] = older(parts["config.json"]).encode()
        parts["metadata.json"] = b'{"keras_version": "2.15.0"}'
        with zipfile.ZipFile(path, "w") as archive:
            for each, content in parts.items():
                archive.writestr(each, content)
    into = tmp_path / "into"
    into.mkdir()
    FORMAT.gather({"path": name}, tmp_path, into, {})
    feed = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    (found,) = FORMAT.runner(into)({"image": feed}).values()
    np.testing.assert_allclose(found, model(feed, training=False).numpy(), rtol=1e-5, atol=1e-6)


def test_what_keras_itself_quantized_is_said_when_it_is_opened(tmp_path: Path) -> None:
    model = two_heads()
    model.quantize("int8")
    folder = gathered(model, tmp_path)
    assert "keras-int8" in FORMAT.describe(folder).facts
    assert any("cannot make TFLite of it" in note for note in FORMAT.inspect(folder).notes)


def test_half_precision_is_refused_by_name(tmp_path: Path) -> None:
    x = layers.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(2, name="half", dtype="mixed_float16")(x))
    with pytest.raises(ModelError, match="layer 'half' computes in float16"):
        gathered(model, tmp_path)


def test_a_model_that_tells_no_inputs_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(
        "import keras\n\n\nclass Net(keras.Model):\n    def __init__(self, **rest):\n"
        "        super().__init__(**rest)\n        self.line = keras.layers.Dense(2)\n\n"
        "    def call(self, x):\n        return self.line(x)\n"
    )
    namespace: dict[str, Any] = {"__name__": "parts"}
    exec((tmp_path / "parts.py").read_text(), namespace)
    model = namespace["Net"]()
    model(np.zeros((1, 4), np.float32))
    with pytest.raises(ModelError, match="tells no inputs") as caught:
        gathered(model, tmp_path, custom_objects=["parts.py:Net"])
    assert "model.export" in str(caught.value.hint)
