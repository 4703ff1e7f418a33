"""Images in folders, ``SPLIT/CLASS/FILE``: the class folders in order are the labels.

The order of classes is that of ``classes.txt`` in the folder, a name a line, or else the
alphabet's. Files are read by Pillow, in a few safe formats, as 8-bit gray or colour.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.data.source import chosen_rows
from edgeopt.data.splits import Selection
from edgeopt.schema.errors import DataError

Array = np.ndarray[Any, Any]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
CLASSES = "classes.txt"
IMAGE, LABEL = "image", "label"
INSTALL = "pip install 'edgeopt[images]'"


class Folder:
    """A folder of splits; ``resize`` is (height, width), which all images are brought to."""

    def __init__(self, path: Path, resize: Sequence[int] | None = None) -> None:
        self.path = path
        self._size = None if resize is None else (int(resize[0]), int(resize[1]))
        if not path.is_dir():
            raise DataError("no such folder", where=str(path))

    @property
    def names(self) -> tuple[str, ...]:
        """``SPLIT.image`` for each folder, and ``SPLIT.label`` where it holds class folders."""
        found = []
        for split in self._splits:
            found.append(f"{split}.{IMAGE}")
            if any(label is not None for _, label in self._files(split)):
                found.append(f"{split}.{LABEL}")
        return tuple(found)

    def take(self, selection: Selection, arrays: Sequence[str]) -> tuple[dict[str, Array], range]:
        """The selected images, uint8 (n, height, width) or (n, height, width, 3), and labels."""
        files = self._files(selection.split)
        rows = chosen_rows(self.path, selection, len(files))
        chosen = files[selection.slice]
        loaded: dict[str, Array] = {}
        if IMAGE in arrays:
            loaded[IMAGE] = self._images([file for file, _ in chosen])
        if LABEL in arrays:
            loaded[LABEL] = np.array([label for _, label in chosen], np.int64)
        return loaded, rows

    @property
    def _splits(self) -> list[str]:
        return sorted(p.name for p in self.path.iterdir() if p.is_dir() and p.name[0] != ".")

    @cached_property
    def _classes(self) -> list[str]:
        return list(class_names(self.path))

    def _files(self, split: str) -> list[tuple[Path, int | None]]:
        """Image files with their labels, spread over the classes so that a part has all of them."""
        folder = self.path / split
        by_class = {p.name: _images_in(p) for p in sorted(folder.iterdir()) if p.is_dir()}
        for name in by_class:
            if name not in self._classes:
                raise DataError(f"class '{name}' is not in {CLASSES}", where=str(folder))
        if not by_class:
            return [(file, None) for file in _images_in(folder)]
        longest = max(map(len, by_class.values()), default=0)
        return [
            (files[turn], self._classes.index(name))
            for turn in range(longest)
            for name, files in by_class.items()
            if turn < len(files)
        ]

    def _images(self, files: list[Path]) -> Array:
        images = [_read(file) for file in files]
        gray = all(image.mode == "L" for image in images)
        arrays = []
        for file, image in zip(files, images, strict=True):
            shown = image if gray else image.convert("RGB")
            if self._size is not None:
                height, width = self._size
                shown = shown.resize((width, height), resample=2)  # bilinear
            arrays.append(np.asarray(shown, np.uint8))
            if arrays[-1].shape != arrays[0].shape:
                raise DataError(
                    f"is {_sizes(arrays[-1])}, {files[0].name} is {_sizes(arrays[0])}",
                    where=str(file),
                    hint="resize all to one size: data: {resize: [224, 224]}",
                )
        return np.stack(arrays)


def class_names(path: Path) -> tuple[str, ...]:
    """The classes of a folder of splits, in the order of their labels. Raises OSError."""
    listed = path / CLASSES
    if listed.is_file():
        return tuple(line.strip() for line in listed.read_text().splitlines() if line.strip())
    splits = [p for p in path.iterdir() if p.is_dir() and p.name[0] != "."]
    return tuple(sorted({p.name for split in splits for p in split.iterdir() if p.is_dir()}))


def folder_digest(path: Path, split: str) -> str:
    """SHA-256 over names and contents of a split's files. Raises OSError."""
    digest = hashlib.sha256()
    listed = [path / CLASSES] if (path / CLASSES).is_file() else []
    below = sorted(p for p in (path / split).rglob("*") if p.is_file())
    classes = sorted(p.relative_to(path).parts[1] for p in path.glob("*/*") if p.is_dir())
    digest.update("/".join(dict.fromkeys(classes)).encode())
    for file in (*listed, *below):
        digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _images_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)


def _read(file: Path) -> Any:
    """A gray or colour image, wholly decoded, upright. Raises DataError naming the file."""
    try:
        from PIL import Image, ImageOps  # of an extra
    except ImportError as error:
        raise DataError(f"images need Pillow: {error}", where=str(file), hint=INSTALL) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as the warning of a decompression bomb
            with Image.open(file, formats=FORMATS) as image:
                image.load()
                upright = ImageOps.exif_transpose(image)
                return upright if upright.mode in ("L", "RGB") else upright.convert("RGB")
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and warnings
        raise DataError(
            f"not a readable image: {error}", where=str(file), hint="it may be truncated; remove it"
        ) from None


def _sizes(array: Array) -> str:
    return "x".join(map(str, array.shape))
