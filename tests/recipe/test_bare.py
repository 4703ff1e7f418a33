"""Recipes of models that come without one: what their data tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeopt.answers.labels import CLASSES, VALUES
from edgeopt.recipe import make_recipe
from edgeopt.recipe.bare import bare_fields, data_fields, label_kind
from edgeopt.recipe.space import NEAR
from edgeopt.schema.errors import DataError


def archive(folder: Path, *names: str, n: int = 8, labels: Any = np.int64) -> Path:
    path = folder / "data.npz"
    np.savez(
        path,
        **{
            name: np.zeros((n,), labels) if "label" in name else np.zeros((n, 2), np.float32)
            for name in names
        },
    )
    return path


def model(folder: Path, name: str = "m.onnx") -> Path:
    (folder / name).touch()
    return folder / name


def splits(path: Path, **more: bool) -> dict[str, str]:
    found: dict[str, str] = data_fields(path, **more)["splits"]
    return found


def test_labelled_samples_bound_the_accuracy_and_calibrate(tmp_path: Path) -> None:
    names = ("train.x", "train.label", "val.x", "val.label", "test.x", "test.label")
    fields = bare_fields(model(tmp_path), archive(tmp_path, *names))
    assert fields["data"]["splits"] == {
        "validation": "val", "calibration": "train[:512]", "test": "test"
    }  # fmt: skip
    assert fields["data"]["label"] == "label"
    assert fields["constraints"] == ["accuracy >= source - 1.0pt"]
    assert {"quantize-int8": {"scheme": "auto"}} in fields["passes"][1]["one_of"]
    made = make_recipe(fields)
    assert made.data is not None and Path(made.data.source).is_absolute()


def test_without_labels_outputs_must_stay_near_and_without_samples_nothing_calibrates(
    tmp_path: Path,
) -> None:
    for data in (None, archive(tmp_path, "validation.x")):
        fields = bare_fields(model(tmp_path), data)
        assert fields["constraints"] == [NEAR]
        assert fields["passes"][1] == {"one_of": ["none", "fp16"]}
        assert make_recipe(fields)
    assert "data" not in bare_fields(model(tmp_path), None)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("valid.x", "calibration.x", "train.x"),
         {"validation": "valid", "calibration": "calibration"}),
        (("validation.x", "val.x"), {"validation": "validation"}),
        (("val.x", "train.x"), {"validation": "val", "calibration": "train[:512]"}),
    ],
)  # fmt: skip
def test_splits_are_known_by_the_usual_names(
    tmp_path: Path, names: tuple[str, ...], expected: dict[str, str]
) -> None:
    assert splits(archive(tmp_path, *names)) == expected


def test_the_training_split_is_taken_where_it_is_wanted_and_labelled(tmp_path: Path) -> None:
    labelled = archive(tmp_path, "train.x", "train.label", "val.x", "val.label")
    assert splits(labelled, train=True)["train"] == "train"
    assert "train" not in splits(labelled)
    unlabelled = archive(tmp_path, "train.x", "val.x", "val.label")
    assert "train" not in splits(unlabelled, train=True)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (8, {"validation": "samples[2:]", "calibration": "samples[:2]"}),
        (3, {"validation": "samples"}),
        (4096, {"validation": "samples[512:]", "calibration": "samples[:512]"}),
    ],
)
def test_plain_arrays_are_cut_in_two(tmp_path: Path, n: int, expected: dict[str, str]) -> None:
    found: dict[str, Any] = data_fields(archive(tmp_path, "x", "labels", n=n))
    assert found["splits"] == expected and found["label"] == "labels"


def test_labels_that_are_values_bound_no_accuracy(tmp_path: Path) -> None:
    """Guards against a bound on accuracy that no regression can have."""
    names = ("validation.x", "validation.label")
    for dtype, kind in ((np.float32, VALUES), (np.int64, CLASSES), (np.bool_, CLASSES)):
        data = archive(tmp_path, *names, labels=dtype)
        assert label_kind(data_fields(data)) == kind
        near = bare_fields(model(tmp_path), data)["constraints"] == [NEAR]
        assert near == (kind == VALUES)
    assert label_kind(data_fields(archive(tmp_path, "validation.x"))) is None


def test_labels_of_another_name_are_named(tmp_path: Path) -> None:
    data = archive(tmp_path, "validation.x", "validation.my_label")
    assert bare_fields(model(tmp_path), data)["data"]["label"] is None
    assert bare_fields(model(tmp_path), data, "my_label")["data"]["label"] == "my_label"
    with pytest.raises(DataError, match="no array 'their' for labels; the split validation has"):
        bare_fields(model(tmp_path), data, "their")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("m.tflite", {"one_of": ["none", {"quantize-int8": {"scheme": "auto"}}, "fp16"]}),
        ("m.keras", {"one_of": ["export-onnx", "export-tflite",
                                {"quantize-int8": {"engine": "tensorflow"}}]}),
    ],
)  # fmt: skip
def test_every_format_has_passes_that_fit_it(tmp_path: Path, name: str, first: Any) -> None:
    data = archive(tmp_path, "train.x", "val.x")
    fields = bare_fields(model(tmp_path, name), data)
    assert fields["passes"][0] == first and fields["targets"] == ["local/*"]
    made = make_recipe(fields)
    assert made.data is not None and "train" not in made.data.splits


def test_a_folder_of_images_is_data_too(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        for name in ("cat", "dog"):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            (tmp_path / "images" / split / name / "1.png").touch()
    fields = data_fields(tmp_path / "images", train=True)
    assert fields["splits"] == {
        "validation": "validation", "calibration": "train[:512]", "train": "train"
    }  # fmt: skip
    assert fields["label"] == "label" and label_kind(fields) == CLASSES


def test_splits_of_other_names_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no validation split") as caught:
        data_fields(archive(tmp_path, "first.x", "second.x"))
    assert "the archive has the splits: first, second" in caught.value.hint
    assert caught.value.where == str(tmp_path / "data.npz")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"PK\x03\x04 cut", "not an .npz archive")]
)
def test_an_archive_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "d.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        data_fields(path)
    assert caught.value.where == str(path)
