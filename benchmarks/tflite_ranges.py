"""Static INT8 in TFLite: ai-edge-quantizer's own calibration, and edgeopt's pass.

    python benchmarks/tflite_ranges.py [--samples 256]

Six untrained networks are converted by litert-torch. Each is quantized twice with the same
calibration samples, each of a loudness of its own (log-normal, sigma 0.5): by the library's
``calibrate`` and ``quantize``, and by ``quantize-int8``. Prints signal over noise against the float
file in LiteRT, on fresh samples of the same kind, and whether samples in another order make the
same file.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import litert_torch
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import qtyping, quantizer
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from torch import nn

from edgeopt.agent.machine import facts
from edgeopt.formats import format_named
from edgeopt.passes.quantize_int8_tflite import QuantizeInt8

Array = np.ndarray


class Depthwise(nn.Module):
    """Separable convolutions with buffers added and multiplied between them."""

    shape = (3, 32, 32)

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 1, 1, groups=16)
        self.point, self.head = nn.Conv2d(16, 32, 1), nn.Linear(32, 10)
        self.register_buffer("shift", torch.randn(1, 16, 1, 1) / 4)
        self.register_buffer("gain", torch.rand(1, 32, 1, 1) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.stem(x)) + self.shift
        y = torch.relu(self.point(torch.relu(self.deep(y)))) * self.gain
        return self.head(y.amax((2, 3)))


class Regression(nn.Module):
    """One value a sample, about 9,000 to 34,000."""

    shape = (12,)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x) * 2e4 + 2e4


class Upsample(nn.Module):
    """Down by two, up again by the nearest neighbour, an image as the answer."""

    shape = (3, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.down, self.middle = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 1, 1)
        self.last = nn.Conv2d(16, 3, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.middle(torch.relu(self.down(x))))
        return self.last(nn.functional.interpolate(y, scale_factor=2, mode="nearest"))


class Rows(nn.Module):
    """Every third output channel has weights of 1e-9, as where a penalty switched it off."""

    shape = (32,)

    def __init__(self, biased: bool) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(32, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        with torch.no_grad():
            for layer in (self.first, self.second):
                layer.weight[::3] *= 1e-8
                layer.bias[::3] *= 1.0 if biased else 1e-8

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.second(torch.relu(self.first(x)))))


class Tiny(nn.Module):
    """A convolution, 8 to 2, of weights of 1e-6 and biases of 5 and -4.5."""

    shape = (8, 4, 4)

    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Conv2d(8, 2, 1)
        with torch.no_grad():
            self.only.weight.mul_(1e-6)
            self.only.bias.copy_(torch.tensor([5, -4.5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.only(x)


NETWORKS: dict[str, Callable[[], Any]] = {
    "depthwise, with buffers": Depthwise,
    "regression, one value": Regression,
    "upsampling": Upsample,
    "rows of 1e-9, bias too": lambda: Rows(biased=False),
    "rows of 1e-9, bias not": lambda: Rows(biased=True),
    "weights of 1e-6": Tiny,
}


@dataclass
class Context:
    """What a worker gives a pass."""

    description: Any
    arrays: dict[str, Array]
    workdir: Path
    found: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, int | None] = field(default_factory=dict)

    def data(self, split: str) -> dict[str, Array]:
        return self.arrays

    def progress(self, done: float, total: float | None = None, **figures: float) -> None:
        pass


def drawn(seed: int, count: int, shape: tuple[int, ...]) -> Array:
    """Samples, each of a loudness of its own, (count, ...)."""
    rng = np.random.default_rng(seed)
    loudness = np.exp(rng.normal(0, 0.5, (count, *(1 for _ in shape))))
    return (rng.normal(size=(count, *shape)) * loudness).astype(np.float32)


def converted(network: nn.Module, shape: tuple[int, ...], folder: Path) -> bytes:
    """The float file."""
    litert_torch.convert(network.eval(), (torch.zeros(1, *shape),)).export(folder / "model.tflite")
    return (folder / "model.tflite").read_bytes()


def by_the_library(content: bytes, name: str, samples: Array, folder: Path) -> bytes:
    """Static INT8 with float inputs and outputs, in the library's own few lines."""
    made = quantizer.Quantizer(content)
    names = qtyping.TFLOperationName
    made.add_static_config(".*", names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    for border in (names.INPUT, names.OUTPUT):
        made.update_quantization_recipe(".*", border, algorithm_key=AlgorithmName.NO_QUANTIZE)
    feeds = {"serving_default": [{name: x[np.newaxis]} for x in samples]}
    return bytes(made.quantize(made.calibrate(feeds)).quantized_model)


def by_edgeopt(content: bytes, name: str, samples: Array, folder: Path) -> bytes:
    """The same by the pass."""
    described = format_named("tflite").describe(folder)
    context = Context(described, {name: samples}, folder)
    return QuantizeInt8(scheme="static", samples=len(samples)).run(content, context)  # type: ignore[arg-type]


def answers(content: bytes, samples: Array) -> Array:
    """What LiteRT answers with XNNPACK, one sample after the other."""
    model = Interpreter(model_content=content, num_threads=1)
    model.allocate_tensors()
    taken, given = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]
    found = []
    for x in samples:
        model.set_tensor(taken, x[np.newaxis])
        model.invoke()
        found.append(model.get_tensor(given))
    return np.concatenate(found)


def sqnr_db(want: Array, got: Array) -> float:
    """Signal over noise in decibels."""
    noise = np.square(want.astype(np.float64) - got).mean()
    return float(10 * np.log10(np.square(want.astype(np.float64)).mean() / noise))


def row(label: str, network: Any, count: int) -> str:
    """A network's row of the table."""
    folder = Path(tempfile.mkdtemp())
    content = converted(network, network.shape, folder)
    name = Interpreter(model_content=content).get_signature_list()["serving_default"]["inputs"][0]
    seen, fresh = (drawn(seed, count, network.shape) for seed in (0, 1))
    want, cells = answers(content, fresh), [label]
    for way in (by_the_library, by_edgeopt):
        made, turned = (way(content, name, samples, folder) for samples in (seen, seen[::-1]))
        cells.append(f"{sqnr_db(want, answers(made, fresh)):.1f} dB")
        cells.append("yes" if made == turned else "no")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=256, help="for calibration, and as many new")
    count, rows = parser.parse_args().samples, []
    for label, make in NETWORKS.items():
        torch.manual_seed(0)
        with contextlib.redirect_stdout(sys.stderr):  # where the libraries report
            rows.append(row(label, make(), count))
    versions = [f"{name} {version(name)}" for name in ("ai-edge-quantizer", "ai-edge-litert")]
    print(f"{facts()['isa']}, {', '.join(versions)}, {count} samples\n")
    print("| network | library | same in any order | edgeopt | same in any order |")
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
