"""Folders of images: labels by folder, sizes, and files that are not a readable images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeopt.data.load import load_split
from edgeopt.data.sources.folder import folder_digest
from edgeopt.schema.errors import DataError
from edgeopt.schema.job import Arrays
from edgeopt.store import Store


def picture(path: Path, value: int, *, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    color = value if mode == "L" else (value, 0, 0, 255)[: len(mode)]
    Image.new(mode, size, color).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for split in ("train", "test"):
        for value, name in ((10, "cat"), (20, "dog"), (30, "emu")):
            for index in range(3):
                picture(root / split / name / f"{index}.png", value + index)
    return root


def loaded(root: Path, select: str = "train", **params: object) -> tuple[Arrays, Store]:
    store = Store(root.parent / "store")
    given = {"split": "validation", "select": select, "inputs": None, "labels": ["label"]}
    return load_split({**given, **params}, {"folder": str(root)}, store), store


def test_class_folders_are_labels_and_a_part_has_all_classes(root: Path) -> None:
    found, store = loaded(root, "train[:6]")
    images, labels = store.get_array(found.arrays["image"]), store.get_array(found.labels["label"])
    assert images.shape == (6, 4, 6, 3) and images.dtype == np.uint8
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert images[:, 0, 0, 0].tolist() == [10, 20, 30, 11, 21, 31]


def test_a_list_of_classes_gives_their_order(root: Path) -> None:
    (root / "classes.txt").write_text("emu\ndog\ncat\n")
    found, store = loaded(root, "train[:3]")
    assert store.get_array(found.labels["label"]).tolist() == [2, 1, 0]
    (root / "classes.txt").write_text("emu\ndog\n")
    with pytest.raises(DataError, match="'cat' is not in classes"):
        loaded(root)


def test_other_sizes_are_named_or_brought_to_one(root: Path) -> None:
    picture(root / "train" / "dog" / "odd.png", 5, size=(9, 9))
    with pytest.raises(DataError, match="9x9x3") as caught:
        loaded(root)
    assert "odd.png" in caught.value.where and "resize" in caught.value.hint
    found, _ = loaded(root, resize=[5, 7])
    assert found.arrays["image"].shape == (10, 5, 7, 3)


def test_gray_and_alpha(root: Path) -> None:
    gray = root.parent / "gray"
    for index in range(2):
        picture(gray / "all" / f"{index}.png", 7, mode="L")
    found, _ = loaded(gray, "all", labels=[])
    assert found.arrays["image"].shape == (2, 4, 6) and found.labels == {}
    picture(gray / "all" / "2.png", 9, mode="RGBA")
    assert loaded(gray, "all", labels=[])[0].arrays["image"].shape == (3, 4, 6, 3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_image_is_named(root: Path, share: float) -> None:
    path = root / "train" / "dog" / "1.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="not a readable image") as caught:
        loaded(root)
    assert caught.value.where == str(path)


def test_a_bomb_and_other_formats_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "train" / "dog" / "1.png"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(DataError, match="bomb"):
        loaded(root)
    monkeypatch.undo()
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(DataError, match="not a readable image"):
        loaded(root)


def test_the_digest_is_of_one_split(root: Path) -> None:
    before = folder_digest(root, "train"), folder_digest(root, "test")
    picture(root / "test" / "cat" / "1.png", 99)
    assert folder_digest(root, "train") == before[0]
    assert folder_digest(root, "test") != before[1]


def test_what_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(DataError, match="no split 'tran'") as caught:
        loaded(root, "tran")
    assert "train" in caught.value.hint
    with pytest.raises(DataError, match="no such folder"):
        loaded(root.parent / "nowhere")
