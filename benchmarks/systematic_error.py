"""How much of the error of INT8 regressors is systematic, and of damaged ones.

    python benchmarks/systematic_error.py

Trains two small networks whose answers are amounts (a vehicle's controls, a picture without its
noise and a count in it), quantizes them with ONNX Runtime in four ways, and damages the answers of
the source in a few. Prints for each output SQNR and the systematic part of the error, both held
against what the source varies by, in dB. Needs torch, onnx and onnxruntime.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from edgeopt.answers.profile import profile
from edgeopt.answers.systematic import directions, part

Array = np.ndarray[Any, Any]
Answers = dict[str, Array]
SAMPLES, STEPS = 400, 1500


class Controls(nn.Module):
    """Steering and age in a range, a rare brake, a distance over decades, and a heading."""

    names = ("steer", "age", "brake", "distance", "heading")

    def __init__(self) -> None:
        super().__init__()
        hidden = [nn.Linear(16, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 6)]
        self.layers = nn.Sequential(*hidden)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        o = self.layers(x)
        heading = nn.functional.normalize(o[:, 4:], dim=1)
        return o[:, 0].tanh(), 50 + 16 * o[:, 1], o[:, 2].sigmoid(), o[:, 3].exp(), heading

    @staticmethod
    def drawn(n: int, seed: int) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        x = torch.randn(n, 16, generator=torch.Generator().manual_seed(seed))
        steer = torch.tanh(0.5 * x[:, 4] * x[:, 4].abs() + 0.2 * torch.sin(2 * x[:, 5]))
        brake = torch.sigmoid(4 * (3 * x[:, 6] + 2 * x[:, 7] - 6))
        distance = torch.exp(2.5 + 1.1 * x[:, 8] + 0.3 * x[:, 9])
        heading = nn.functional.normalize(x[:, :2] + 0.3 * x[:, 2:4], dim=1)
        return x, (steer, 50 + 16 * torch.tanh(x[:, 10] + 0.5 * x[:, 11]), brake, distance, heading)

    @staticmethod
    def units(y: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return y[0], y[1] / 16, y[2], y[3].log(), y[4]


class Picture(nn.Module):
    """A picture of spots without its noise, and how many spots it has."""

    names = ("clean", "count")

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU()
        )
        self.clean, self.count = nn.Conv2d(12, 1, 3, padding=1), nn.Linear(12, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        h = self.layers(x)
        return x - self.clean(h), 10 * self.count(h.mean((2, 3)))

    @staticmethod
    def drawn(n: int, seed: int) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        random = torch.Generator().manual_seed(seed)
        share = 0.01 + 0.05 * torch.rand(n, 1, 1, 1, generator=random)
        spots = (torch.rand(n, 1, 16, 16, generator=random) < share).float()
        kernel = torch.exp(-torch.arange(-3, 4).float().square() / 4)
        clean = nn.functional.conv2d(spots, kernel[None, None, :, None] * kernel, padding=3)
        noise = 0.1 * torch.randn(clean.shape, generator=random)
        return clean + noise, (clean, spots.sum((2, 3)))

    @staticmethod
    def units(y: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return y[0], y[1] / 10


DAMAGES: dict[str, Callable[[Array], Array]] = {
    "a tenth nearer to the mean": lambda y: y.mean(axis=0) + 0.9 * (y - y.mean(axis=0)),
    "a sixth too small": lambda y: y / 1.2,
    "raised by 15% of its spread": lambda y: y + 0.15 * y.std(axis=0),
    "the lowest 15% as one": lambda y: np.maximum(y, np.quantile(y, 0.15, axis=0)),
    "the highest 15% as one": lambda y: np.minimum(y, np.quantile(y, 0.85, axis=0)),
}


class Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, x: Array) -> None:
        self.rows = iter([{"x": x[at : at + 16]} for at in range(0, len(x), 16)])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.rows, None)


def main() -> None:
    print("| output | artifact | SQNR, dB | systematic part, dB |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for made in (Controls, Picture):
            source, artifacts = answers(made, Path(folder))
            for name, theirs in source.items():
                copies = {kind: each[name] for kind, each in artifacts.items()}
                copies |= {f"damaged: {kind}": of(theirs) for kind, of in DAMAGES.items()}
                for kind, mine in copies.items():
                    print(f"| {name} | {kind} | {figures(mine, theirs)} |", flush=True)


def figures(mine: Array, theirs: Array) -> str:
    known = profile(theirs)
    b, a = (np.asarray(x, np.float64).reshape(-1, *known.mean.shape) for x in (theirs, mine))
    c, e = b - known.mean, a - b
    noise = part(c, e, turned=directions(theirs, known))[1]
    shares = (np.square(e).sum() / np.square(c).sum(), noise / np.square(c).sum())
    return " | ".join(f"{-10 * np.log10(each):.1f}" if each > 1e-9 else "> 90" for each in shares)


def answers(made: Any, folder: Path) -> tuple[Answers, dict[str, Answers]]:
    """The answers of a trained network, and of each of its INT8 forms."""
    torch.manual_seed(0)
    network = made()
    x, y = made.drawn(8000, 1)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(STEPS):
        rows = torch.randint(0, len(x), (64,))
        outputs = made.units(network(x[rows]))
        losses = zip(outputs, made.units(tuple(each[rows] for each in y)), strict=True)
        loss = sum((mine - theirs).square().mean() for mine, theirs in losses)
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - 0.95 * step / STEPS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    plain, ready = folder / "plain.onnx", folder / "ready.onnx"
    torch.onnx.export(
        network.eval(), (x[:2],), str(plain), input_names=["x"], output_names=list(made.names),
        dynamic_axes={name: {0: "n"} for name in ("x", *made.names)}, dynamo=False,
    )  # fmt: skip
    quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
    held = made.drawn(SAMPLES, 2)[0].numpy()
    forms = {kind: run(path, held, made.names)
             for kind, path in quantized(ready, made.drawn(160, 3)[0].numpy())}  # fmt: skip
    return run(plain, held, made.names), forms


def quantized(path: Path, x: Array) -> Iterator[tuple[str, Path]]:
    out = path.with_name("int8.onnx")
    for kind, by_channel in (("INT8", False), ("INT8 per channel", True)):
        quantize_static(str(path), str(out), Reader(x), per_channel=by_channel)
        yield kind, out
    quantize_dynamic(str(path), str(out))
    yield "INT8 weights", out


def run(path: Path, x: Array, names: tuple[str, ...]) -> Answers:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(names), {"x": x}), strict=True))


if __name__ == "__main__":
    main()
