"""What the tests of pruning share: an opened artifact, and a pass run on it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pruned_nets
from passes_bench import Context

from edgeopt.formats import format_named
from edgeopt.step import Pass

MODELS = Path(__file__).parents[2] / "models"
TORCH = format_named("torch")


@dataclass
class Opened:
    """An artifact's folder with samples for it."""

    folder: Path
    arrays: dict[str, np.ndarray]
    labels: np.ndarray
    root: Path
    count: int = 0

    def run(self, step: Pass, seed: int = 0) -> Opened:
        """What a worker does with a pass."""
        self.count += 1
        rough = self.root / f"rough-{self.folder.name}-{self.count}"
        out = self.root / f"{self.folder.name}-{self.count}"
        rough.mkdir()
        before = TORCH.describe(self.folder)
        step.requires(before)
        context = Context(
            rough, before, self.arrays, seed, parent=self.folder, classes=self.labels
        )  # fmt: skip
        TORCH.save(step.run(TORCH.load(self.folder), context), out)
        after = TORCH.describe(out)
        assert after.differs(step.effect(before)) == []
        return Opened(out, self.arrays, self.labels, self.root)

    def outputs(self) -> np.ndarray:
        return next(iter(TORCH.runner(self.folder)(self.arrays).values()))

    def files(self) -> dict[str, bytes]:
        return {
            p.relative_to(self.folder).as_posix(): p.read_bytes()
            for p in self.folder.rglob("*")
            if p.is_file()
        }

    def load(self) -> Any:
        return TORCH.load(self.folder)

    def inspect(self) -> Any:
        return TORCH.inspect(self.folder)


def opened_in(tmp_path: Path, name: str) -> Opened:
    """An artifact of a network of ``pruned_nets.py`` or a shipped model."""
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
        n: {"shape": list(a.shape[1:]), "dtype": "float32", "layout": ""} for n, a in arrays.items()
    }
    TORCH.gather(spec, root, into, given)
    return Opened(into, arrays, labels, tmp_path)


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


def digests(tmp_path: Path, folder: Path, arrays: dict[str, np.ndarray]) -> tuple[str, str]:
    """SHA-256 of an artifact's outputs here, and of those in a process of its own."""
    np.savez(tmp_path / "feeds.npz", **arrays)
    found = TORCH.runner(folder)(arrays)
    here = hashlib.sha256(b"".join(found[n].tobytes() for n in sorted(found))).hexdigest()
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), str(tmp_path / "feeds.npz")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return here, done.stdout.strip()
