"""What a Keras file says of itself is judged before Keras opens it."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from edgeopt.agent.tf_network import keras
from edgeopt.formats import format_named
from edgeopt.formats.keras.judged import judge, told_by_h5, told_by_zip, without_gone
from edgeopt.schema.errors import ModelError

layers = keras.layers
pytestmark = pytest.mark.extras


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path


def with_lambda() -> Any:
    x = layers.Input((4,), name="x")
    return keras.Model(x, layers.Lambda(lambda v: v * 2, name="doubled")(layers.Dense(3)(x)))


def gathered(path: Path, into: Path, **spec: Any) -> Path:
    into.mkdir()
    format_named("keras").gather({"path": path.name, **spec}, path.parent, into, {})
    return into


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_a_lambda_is_refused_by_its_layer_s_name(tmp_path: Path, name: str) -> None:
    """Guards against code in a file: Keras' own guard does not hold for every form of file."""
    path = saved(with_lambda(), tmp_path / name)
    with pytest.raises(ModelError, match="layer 'doubled' is a Lambda") as caught:
        gathered(path, tmp_path / "into")
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"class_name": "run", "module": "subprocess"}, "needs 'subprocess.run'"),
        ({"class_name": "TFOpLambda", "module": "keras.layers"}, "is a TFOpLambda"),
        ({"class_name": "Mine", "registered_name": "pack>Mine"}, "of a class of the user's own"),
    ],
)
def test_what_is_not_keras_own_is_refused(node: dict[str, Any], said: str) -> None:
    config = {"config": {"layers": [{**node, "config": {"name": "third"}}]}}
    with pytest.raises(ModelError, match="layer 'third'") as caught:
        judge(config, set(), "net.keras")
    assert said in caught.value.what


def test_a_name_that_the_user_gives_may_stand_in_it() -> None:
    judge({"class_name": "Mine", "module": "net", "config": {}}, {"Mine"}, "net.keras")


def test_a_configuration_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(1000):
        deep = {"config": deep}
    with pytest.raises(ModelError, match="too deep"):
        judge(deep, set(), "net.keras")


def test_files_that_are_none_are_told_apart(tmp_path: Path) -> None:
    """A pickle named .h5 is not opened, whatever it holds."""
    (tmp_path / "a.h5").write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(ModelError, match="not an HDF5 file"):
        told_by_h5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["w"] = np.zeros(3)
    with pytest.raises(ModelError, match="holds weights and no network"):
        told_by_h5(tmp_path / "weights.h5")
    (tmp_path / "a.keras").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ModelError, match=r"not a \.keras file"):
        told_by_zip(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
        archive.writestr("config.json", "[1]")
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(ModelError, match="holds no model"):
        told_by_zip(tmp_path / "b.keras")


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.bin").write_bytes(bytes(64))
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {}})
        file["linked"] = h5py.ExternalLink("other.h5", "/w")
    with pytest.raises(ModelError, match="'/linked' is a link"):
        told_by_h5(tmp_path / "net.h5")
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {}})
        file.create_dataset("w", (8,), "f8", external=[(str(tmp_path / "other.bin"), 0, 64)])
    with pytest.raises(ModelError, match="'/w' lies in another file"):
        told_by_h5(tmp_path / "raw.h5")


def test_fields_of_keras_2_that_hold_their_default_are_dropped() -> None:
    config = {"layers": [
        {"class_name": "DepthwiseConv2D", "config": {"name": "a", "groups": 1, "filters": 3}},
        {"class_name": "LSTM", "config": {"name": "b", "time_major": False}},
        {"class_name": "LSTM", "config": {"name": "c", "time_major": True}},
        {"class_name": "SeparableConv2D", "config": {"name": "d", "kernel_initializer": {"x": 1}}},
    ]}  # fmt: skip
    assert set(without_gone(config)) == {
        "DepthwiseConv2D.groups", "LSTM.time_major", "SeparableConv2D.kernel_initializer",
    }  # fmt: skip
    left = [layer["config"] for layer in config["layers"]]
    assert left == [{"name": "a", "filters": 3}, {"name": "b"},
                    {"name": "c", "time_major": True}, {"name": "d"}]  # fmt: skip
