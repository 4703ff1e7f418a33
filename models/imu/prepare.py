"""Make ``imu.npz`` and ``trained_on.npy`` from the recordings in the PyPI package seglearn.

    pip download --no-deps seglearn==1.2.5
    python prepare.py seglearn-1.2.5-py3-none-any.whl

The package keeps its recordings in a pickle. That is read here, once, by an unpickler that
knows NumPy's arrays and nothing else; the archive that it becomes holds plain arrays.

Subjects 1 to 6 train the source model, 7 and 8 are the validation split, 9 and 10 the test
split: nobody is in two of them. Windows are 128 samples long (2.56 s at 50 Hz), half of one
apart; those of training the same. Values are int16 in thousandths.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
MEMBER = "seglearn/data/watch_dataset.npy"
SPLITS = {"train": (1, 2, 3, 4, 5, 6), "validation": (7, 8), "test": (9, 10)}
WINDOW, STEP = 128, 64
PER_UNIT = 1000  # stored values in one g or rad/s


class Arrays(pickle.Unpickler):
    """Unpickles arrays, and refuses all else that a pickle may name."""

    KNOWN = ("_reconstruct", "ndarray", "dtype", "scalar")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):  # how old pickles write bytes
            return super().find_class(module, name)
        if module.partition(".")[0] != "numpy" or name not in self.KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is no array")
        module = module.replace("numpy.core", "numpy._core")
        return super().find_class(module, name)


def recordings(wheel: Path) -> dict[str, Any]:
    """``X`` (list of (n, 6) float64), ``y``, ``subject`` and their names."""
    with zipfile.ZipFile(wheel) as archive:
        stream = io.BytesIO(archive.read(MEMBER))
    version = np.lib.format.read_magic(stream)
    assert version == (1, 0)
    np.lib.format.read_array_header_1_0(stream)
    loaded: dict[str, Any] = Arrays(stream, encoding="latin1").load().item()
    return loaded


def windows(recording: np.ndarray, step: int) -> np.ndarray:
    """(n, 6, 128) int16 of a recording (samples, 6)."""
    whole = np.round(recording * PER_UNIT).astype(np.int16)
    starts = range(0, len(whole) - WINDOW + 1, step)
    return np.stack([whole[start : start + WINDOW].T for start in starts])


def split_arrays(data: dict[str, Any], split: str, step: int = STEP) -> dict[str, np.ndarray]:
    """``signal`` (n, 6, 128) int16, ``label`` and ``subject`` (n,) uint8 of a split."""
    parts: dict[str, list[np.ndarray]] = {"signal": [], "label": [], "subject": []}
    for x, y, subject in zip(data["X"], data["y"], data["subject"], strict=True):
        if subject in SPLITS[split]:
            cut = windows(x, step)
            parts["signal"].append(cut)
            parts["label"].append(np.full(len(cut), y, np.uint8))
            parts["subject"].append(np.full(len(cut), subject, np.uint8))
    return {name: np.concatenate(found) for name, found in parts.items()}


def sample_hashes(samples: np.ndarray) -> np.ndarray:
    """The first eight bytes of each sample's SHA-256, as (n,) big-endian uint64."""
    digests = [hashlib.sha256(sample.tobytes()).digest()[:8] for sample in samples]
    return np.frombuffer(b"".join(digests), ">u8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="the wheel of seglearn 1.2.5")
    data = recordings(parser.parse_args().wheel)
    arrays = {split: split_arrays(data, split) for split in SPLITS}
    order = np.random.default_rng(0).permutation(len(arrays["train"]["label"]))
    arrays["train"] = {name: array[order] for name, array in arrays["train"].items()}
    np.savez_compressed(
        HERE / "imu.npz",
        **{f"{split}.{name}": a for split, each in arrays.items() for name, a in each.items()},
    )
    np.save(HERE / "trained_on.npy", np.sort(sample_hashes(arrays["train"]["signal"])))
    for split, each in arrays.items():
        print(f"{split}: {len(each['label'])} windows of subjects {SPLITS[split]}")


if __name__ == "__main__":
    main()
