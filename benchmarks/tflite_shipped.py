"""Static INT8 of the shipped networks in TFLite: the library's own calibration, edgeopt's pass.

    python benchmarks/tflite_shipped.py

Both networks are exported as their recipes do it and quantized twice with the recipe's 512
calibration samples. Prints accuracy on both splits, paired differences to the float file, the
logits' signal over noise and the size.

    PYTHONPATH=site python benchmarks/tflite_shipped.py efficientnet_lite0 ...

takes the networks by name; docs/examples.md says how to get `site` and the photographs.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from recompute import MODELS, prepared
from tflite_ranges import Array, Context, answers, by_edgeopt, by_the_library, facts, sqnr_db

from edgeopt.formats import format_named
from edgeopt.passes.export_tflite_torch import ExportTflite

PHOTOGRAPHS = "efficientnet_lite0"
SPECS: dict[str, dict[str, str]] = {
    "fashion_mnist": {"factory": "net.py:resnet", "weights": "source.safetensors"},
    "imu": {"factory": "net.py:resnet", "weights": "source.safetensors"},
    PHOTOGRAPHS: {"factory": "net.py:network"},
}
NAMES = {"fashion_mnist": "image", "imu": "signal", PHOTOGRAPHS: "image"}
CALIBRATION = 512


def samples(task: str, split: str) -> tuple[Array, Array | None]:
    """Inputs with channels first, (n, ...), and labels where there are some."""
    if task != PHOTOGRAPHS:
        return prepared(task, split)
    from PIL import Image

    files = sorted((MODELS / task / "images" / split).glob("*.png"))
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    return ((pixels.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2), None


def exported(task: str, folder: Path) -> bytes:
    """The float file, as `export-tflite` makes it."""
    shape = samples(task, "validation")[0].shape[1:]
    layout = "NCHW" if len(shape) == 3 else ""
    wanted = {NAMES[task]: {"shape": list(shape), "dtype": "float32", "layout": layout}}
    torch_format = format_named("torch")
    (folder / "torch").mkdir()
    torch_format.gather(SPECS[task], MODELS / task, folder / "torch", wanted)
    context: Any = Context(torch_format.describe(folder / "torch"), {}, folder)
    made = ExportTflite().run(torch_format.load(folder / "torch"), context)
    format_named("tflite").save(made, folder)
    return (folder / "model.tflite").read_bytes()


def fed(inputs: Array) -> Array:
    """Images with channels last, as the exported file takes them."""
    return np.ascontiguousarray(np.moveaxis(inputs, 1, -1)) if inputs.ndim == 4 else inputs


def rows(task: str) -> Iterator[str]:
    """Rows of the table."""
    folder = Path(tempfile.mkdtemp())
    content, name = exported(task, folder), NAMES[task]
    photographs = task == PHOTOGRAPHS
    seen = fed(samples(task, "calibration" if photographs else "train")[0])[:CALIBRATION]
    ways = {
        "float": content,
        "library": by_the_library(content, name, seen, folder),
        "edgeopt": by_edgeopt(content, name, seen, folder),
    }
    for split in ("validation",) if photographs else ("validation", "test"):
        inputs, labels = samples(task, split)
        want = answers(content, fed(inputs))
        for way, made in ways.items():
            got = answers(made, fed(inputs))
            right = want.argmax(1) if labels is None else labels
            pairs = [(logits.argmax(1) == right).astype(float) for logits in (got, want)]
            gain = 100 * (pairs[0] - pairs[1]).mean()
            noise = "" if way == "float" else f"{sqnr_db(want, got):.1f} dB"
            told = f"{100 * pairs[0].mean():.2f}% | {gain:+.2f}pt"
            yield f"| {task} | {split} | {way} | {told} | {noise} | {len(made):,} |"


def main() -> None:
    lines = []
    for task in sys.argv[1:] or ("fashion_mnist", "imu"):
        with contextlib.redirect_stdout(sys.stderr):  # where the libraries report
            lines += rows(task)
    print(f"{facts()['isa']}\n")
    print("| network | split | quantized by | accuracy | to float | logits | bytes |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
