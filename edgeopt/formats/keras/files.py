"""Keras files: written the same each time, and those of Keras 2 brought to Keras 3."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from edgeopt.formats.keras.judged import CONFIG, METADATA, WEIGHTS, Told, refuse_outside

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can tell


def normalized(source: Path, into: Path) -> None:
    """Write a ``.keras`` file without the time it was saved, so that equal models are equal bytes.

    HDF5 keeps no times in what Keras writes.
    """
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in sorted(archive.namelist())}
    told = json.loads(parts.get(METADATA, b"{}"))
    parts[METADATA] = json.dumps({k: told[k] for k in sorted(told) if k != "date_saved"}).encode()
    _write(parts, into)


def with_config(source: Path, into: Path, config: Mapping[str, Any]) -> None:
    """Copy a ``.keras`` or ``.h5`` file with another configuration."""
    text = json.dumps(config)
    if h5py.is_hdf5(source):
        shutil.copyfile(source, into)
        with h5py.File(into, "r+") as file:
            file.attrs["model_config"] = text
        return
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    _write({**parts, CONFIG: text.encode()}, into)


def check_weights(path: Path, workdir: Path) -> None:
    """Raise ModelError where weights of a ``.keras`` file lie in other files, or are damaged."""
    with zipfile.ZipFile(path) as archive:
        weights = Path(archive.extract(WEIGHTS, workdir))
    try:
        with h5py.File(weights, "r") as file:
            refuse_outside(file, path)
    finally:
        weights.unlink()


def is_old(told: Told) -> bool:
    """Whether Keras 2 wrote it; a file that tells no version is Keras 2's, too."""
    return told.old or not told.version


def _write(parts: Mapping[str, bytes], into: Path) -> None:
    with zipfile.ZipFile(into, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
