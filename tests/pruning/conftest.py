"""Artifacts of this folder's networks and of the shipped ones, pruned as a worker does it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pruned_nets
import pytest
import torch
from pruning_bench import MODELS, Opened

from edgeopt.formats import format_named


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As a worker has it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[object]:
    """``opened(NAME)``: an artifact of a network of ``pruned_nets.py`` or a shipped model."""

    def make(name: str) -> Opened:
        root, into = tmp_path / "project", tmp_path / "artifact"
        into.mkdir()
        if (MODELS / name).is_dir():
            shutil.copytree(
                MODELS / name, root, ignore=lambda _, names: [n for n in names if "npz" in n]
            )
            spec = {"factory": "net.py:resnet", "weights": "source.safetensors"}
        else:
            root.mkdir()
            shutil.copy(pruned_nets.__file__, root)
            spec = {"factory": f"pruned_nets.py:{name}"}
        arrays, labels = samples(name)
        given = {
            n: {"shape": list(a.shape[1:]), "dtype": "float32", "layout": ""}
            for n, a in arrays.items()
        }
        format_named("torch").gather(spec, root, into, given)
        return Opened(into, arrays, labels, tmp_path)

    yield make


def samples(name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    if name == "imu":
        with np.load(MODELS / "imu" / "imu.npz") as archive:
            return {"signal": archive["train.signal"][:64].astype(np.float32) / 1000}, archive[
                "train.label"
            ][:64]
    with np.load(MODELS / "fashion_mnist" / "fashion_mnist.npz") as archive:
        raw, labels = archive["train.images"][:64], archive["train.label"][:64]
    return {"image": ((raw[:, None] / 255 - 0.286) / 0.353).astype(np.float32)}, labels


RUN = """
import hashlib, sys
import numpy as np
from pathlib import Path
from edgeopt.formats import format_named
with np.load(sys.argv[2]) as arrays:
    found = format_named("torch").runner(Path(sys.argv[1]))(dict(arrays))
print(hashlib.sha256(b"".join(found[name].tobytes() for name in sorted(found))).hexdigest())
"""


@pytest.fixture
def fresh_digest(tmp_path: Path) -> Iterator[object]:
    """SHA-256 of an artifact's outputs here, and of those in a process of its own."""

    def both(folder: Path, arrays: dict[str, np.ndarray]) -> tuple[str, str]:
        np.savez(tmp_path / "feeds.npz", **arrays)
        found = format_named("torch").runner(folder)(arrays)
        here = hashlib.sha256(b"".join(found[n].tobytes() for n in sorted(found))).hexdigest()
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(folder), str(tmp_path / "feeds.npz")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return here, done.stdout.strip()

    yield both
