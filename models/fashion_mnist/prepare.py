"""Make ``fashion_mnist.npz`` and ``trained_on.npy`` from the four IDX files of Fashion-MNIST.

The Debian package ``dataset-fashion-mnist`` installs the files under
``/usr/share/datasets/fashion-mnist``. Splits: the first 55,000 images of the training
file train the source model, its last 5,000 are the validation split, the 10,000 of the
test file are the test split. The archive holds validation and test whole, and as many
of the training images, from the first on, as fit the size limit.

    python prepare.py [--idx FOLDER]
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
IDX = Path("/usr/share/datasets/fashion-mnist")
TRAINED = 55_000
LIMIT_BYTES = 15_000_000


def read_idx(path: Path) -> np.ndarray:
    """An IDX file of unsigned bytes as an array (format: yann.lecun.com/exdb/mnist)."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\x00\x00\x08":
        raise SystemExit(f"{path}: not an IDX file of unsigned bytes")
    ndim = raw[3]
    shape = np.frombuffer(raw, ">u4", ndim, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim).reshape(shape).copy()


def load_all(folder: Path = IDX) -> dict[str, np.ndarray]:
    """All 70,000 images, (N, 28, 28) uint8, and labels, (N,) uint8, by split."""
    images = read_idx(folder / "train-images-idx3-ubyte.gz")
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz")
    return {
        "train.images": images[:TRAINED],
        "train.label": labels[:TRAINED],
        "validation.images": images[TRAINED:],
        "validation.label": labels[TRAINED:],
        "test.images": read_idx(folder / "t10k-images-idx3-ubyte.gz"),
        "test.label": read_idx(folder / "t10k-labels-idx1-ubyte.gz"),
    }


def sample_hashes(images: np.ndarray) -> np.ndarray:
    """The first eight bytes of each sample's SHA-256, as (N,) big-endian uint64."""
    digests = [
        hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()[:8] for image in images
    ]
    return np.frombuffer(b"".join(digests), ">u8")


def packed(arrays: dict[str, np.ndarray], count: int) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(
        out, **{k: v[:count] if k.startswith("train.") else v for k, v in arrays.items()}
    )
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idx", type=Path, default=IDX, help="folder with the four IDX files")
    arrays = load_all(parser.parse_args().idx)
    np.save(HERE / "trained_on.npy", np.sort(sample_hashes(arrays["train.images"])))
    low, high = 0, len(arrays["train.label"]) // 500
    while low < high:
        middle = (low + high + 1) // 2
        if len(packed(arrays, middle * 500)) <= LIMIT_BYTES:
            low = middle
        else:
            high = middle - 1
    (HERE / "fashion_mnist.npz").write_bytes(packed(arrays, low * 500))
    print(f"fashion_mnist.npz holds {low * 500} training images")


if __name__ == "__main__":
    main()
