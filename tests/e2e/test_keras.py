"""Keras models and SavedModels through the real command: exported, quantized, pruned, chosen."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from e2e_project import Project, save_samples

from edgeopt.agent.tf_network import keras, tf

RECIPE = """\
model: {path: net.keras}
data:
  source: samples.npz
  inputs: {image: images}
  label: label
  splits: {train: train, calibration: train, validation: validation, test: test}
  preprocess: [{scale: 255}]
targets: ["local/*"]
constraints: ["accuracy >= source - 100pt"]
passes:
  - one_of: [export-onnx, export-tflite, {quantize-int8: {engine: tensorflow}}]
  - simplify-onnx
  - one_of: [none, {quantize-int8: {scheme: auto}}]
"""


def network() -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = image = layers.Input((28, 28, 1), name="image")
    for width in (16, 16):
        x = layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(image, layers.Dense(10, name="scores")(layers.GlobalAveragePooling2D()(x)))


@pytest.fixture
def keras_project(tmp_path: Path) -> Project:
    place = tmp_path / "project"
    place.mkdir()
    save_samples(place / "samples.npz")
    network().save(place / "net.keras")
    made = Project(place, tmp_path / "store", short=True)
    made.write(RECIPE)
    return made


def candidates(result: dict[str, Any]) -> list[dict[str, Any]]:
    (target,) = result["targets"]
    assert target["verdict"] == "chosen"
    assert not [c for c in target["candidates"] if c["status"] == "failed"]
    found: list[dict[str, Any]] = target["candidates"]
    return found


def test_a_keras_model_races_as_onnx_and_tflite_in_every_runtime(keras_project: Project) -> None:
    made = candidates(keras_project.optimize())
    labels = {(c["target"].rpartition("/")[2], c["label"].split(" > ")[-1]) for c in made}
    assert {runtime for runtime, _ in labels} == {"onnxruntime", "openvino", "litert"}
    assert ("litert", "quantize-int8(engine=tensorflow)") in labels
    int8 = {c["target"].rpartition("/")[2] for c in made if "int8" in c["description"]["facts"]}
    assert int8 == {"onnxruntime", "openvino", "litert"}
    for candidate in made:
        signature = candidate["description"]["signature"]
        assert [t["name"] for t in signature["inputs"]] == ["image"]
        assert [t["name"] for t in signature["outputs"]] == ["scores"]
    floats = [c for c in made if c["description"]["facts"][0] == "float32" or
              "float32" in c["description"]["facts"]]  # fmt: skip
    assert all(c["measurements"]["fidelity.cosine"]["value"] > 0.99999 for c in floats)


@pytest.mark.slow
@pytest.mark.long
def test_passes_that_train_take_it_rebuilt_in_torch(keras_project: Project) -> None:
    keras_project.edit("recipe.yaml", "passes:\n", (
        "passes:\n  - one_of: [none, {prune-structured: {macs: 0.6, round_to: 4}}]\n"
        "  - one_of: [none, {distill: {epochs: 1, batch: 16, lr: 0.01}}]\n"
    ))  # fmt: skip
    made = candidates(keras_project.optimize())
    staged = [c for c in made if "distill" in c["label"]]
    assert staged and all(c["chain"][0]["name"] == "to-torch" for c in staged)
    assert {c["target"].rpartition("/")[2] for c in staged} >= {"onnxruntime", "litert"}
    checks = [step["check"] for c in staged for step in c["chain"] if step["name"] == "to-torch"]
    assert all("promised: within" in check["sentence"] for check in checks)


@pytest.mark.slow
@pytest.mark.long
def test_a_speed_up_is_sought_of_what_it_is_rebuilt_as(keras_project: Project) -> None:
    asked = ("optimize", "recipe.yaml", "--speedup", "1.2x", "--quick", "--json", "--out", "out")
    done = keras_project.run(*asked, timeout=1500)
    assert done.returncode in (0, 3, 4), done.stderr
    result = json.loads(done.stdout)
    assert len([point for point in result["search"] if point["taken"]]) == 1
    assert any("to-torch > prune-structured" in c["label"] for t in result["targets"]
               for c in t["candidates"])  # fmt: skip


def test_layers_that_can_be_pruned_are_those_of_what_it_is_rebuilt_as(
    keras_project: Project,
) -> None:
    done = keras_project.run("prunable", "recipe.yaml", "--json")
    assert done.returncode == 0, done.stderr
    layers = json.loads(done.stdout)["layers"]
    assert any(layer["kind"] == "Conv2d" and not layer["reason"] for layer in layers)
    (scores,) = (layer for layer in layers if layer["path"] == "scores")
    assert "output" in scores["reason"]


@pytest.mark.long
def test_a_savedmodel_does_as_well(keras_project: Project) -> None:
    model, module = network(), tf.Module()
    module.held = [variable.value for variable in model.variables]
    taken = tf.TensorSpec([None, 28, 28, 1], tf.float32, name="image")
    module.call = tf.function(lambda image: {"scores": model(image, training=False)},
                              input_signature=[taken])  # fmt: skip
    tf.saved_model.save(module, str(keras_project.folder / "net"),
                        signatures={"serving_default": module.call})  # fmt: skip
    keras_project.edit("recipe.yaml", "net.keras", "net")
    made = candidates(keras_project.optimize())
    assert {c["target"].rpartition("/")[2] for c in made} == {"onnxruntime", "openvino", "litert"}


def test_a_file_alone_is_optimized_and_inspected(keras_project: Project) -> None:
    done = keras_project.run("inspect", "net.keras", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["operators"]["Conv2D"] == 2
    done = keras_project.run("optimize", "net.keras", "--data", "samples.npz", "--no-bench",
                             "--target", "local/onnxruntime", "--out", "out")  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("net.keras", b"PK\x03\x04 cut off", "not a .keras file"),
        ("net.h5", pickle.dumps([1, 2]), "not an HDF5 file"),
        ("net/saved_model.pb", b"\x08\x01\xff\xff", "damaged"),
    ],
)
def test_bad_files_are_one_clear_error(
    keras_project: Project, name: str, content: bytes, said: str
) -> None:
    path = keras_project.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    keras_project.edit("recipe.yaml", "path: net.keras", f"path: {name}")
    done = keras_project.run("optimize", "recipe.yaml", "--out", "out")
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not (keras_project.folder / "out").exists()
