"""How calls become recipes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeopt
from edgeopt.recipe import make_recipe
from edgeopt.recipe.given import recipe_for
from edgeopt.schema.errors import DataError, RecipeError, UsageError


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "data.npz"
    x, y = np.zeros((9, 3), np.float32), np.zeros(9, np.int64)
    np.savez(path, **{"train.x": x, "val.x": x, "val.label": y, "test.x": x, "test.label": y})
    return path


def test_a_bare_model_gets_passes_that_its_data_allows(archive: Path) -> None:
    recipe = recipe_for("net.onnx", fields={"data": archive})
    assert recipe.data is not None
    assert recipe.data.splits == {
        "validation": "val", "calibration": "train[:512]", "test": "test"
    }  # fmt: skip
    assert recipe.data.label == "label"
    assert recipe.constraints == ("accuracy >= source - 1.0pt",)
    assert "quantize-int8" in str(recipe.spelled()["passes"])
    bare = recipe_for("net.onnx")
    assert "quantize-int8" not in str(bare.spelled()["passes"])
    assert bare.constraints == ("fidelity.sqnr >= 9 dB",)


def test_a_network_with_a_factory_may_train_on_an_archive(archive: Path) -> None:
    network = {"factory": "net.py:net", "weights": "w.safetensors"}
    assert "train" not in recipe_for(network, fields={"data": archive}).data.splits  # unlabelled
    with np.load(archive) as held:
        whole = dict(held) | {"train.label": np.zeros(9, np.int64)}
    np.savez(archive, **whole)
    assert recipe_for(network, fields={"data": archive}).data.splits["train"] == "train"
    assert "train" not in recipe_for("net.onnx", fields={"data": archive}).data.splits


def test_fields_win_over_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("model: a.onnx\nseed: 3\nobjective: size\n")
    recipe = recipe_for(path, fields={"seed": 5, "targets": ("local/onnxruntime?threads=2",)})
    assert (recipe.seed, recipe.objective) == (5, "size")
    assert recipe.root == tmp_path
    other = recipe_for("b.onnx", path)
    assert other.model.path is not None and other.model.path.endswith("b.onnx")
    assert other.seed == 3


def test_keywords_equal_a_recipe_of_them() -> None:
    fields = {"passes": ["fp16"], "seed": 1}
    assert recipe_for({"path": "m.onnx"}, fields=fields) == make_recipe(
        {"model": {"path": "m.onnx"}, **fields}
    )


def test_what_contradicts_itself_is_refused(archive: Path, tmp_path: Path) -> None:
    recipe = make_recipe({"model": "m.onnx"})
    with pytest.raises(UsageError, match="two recipes"):
        recipe_for(recipe, recipe)
    with pytest.raises(UsageError, match="which data"):
        recipe_for(recipe, fields={"data": archive})
    with pytest.raises(RecipeError, match="unknown key 'sed'"):
        edgeopt.optimize("m.onnx", sed=1)
    np.savez(tmp_path / "odd.npz", **{"summer.x": np.zeros(3)})
    with pytest.raises(DataError, match="no validation split"):
        recipe_for("m.onnx", fields={"data": tmp_path / "odd.npz"})
    with pytest.raises(DataError, match=r"[Nn]o such"):
        recipe_for("m.onnx", fields={"data": tmp_path / "absent.npz"})
