"""What `distill`'s defaults do to a small network without batch norms, with and without `clip`.

    python benchmarks/distill_rate.py

A network of two convolutions and two dense layers is trained on Fashion-MNIST for 500 steps of
Adam, pruned to half of its MACs and distilled for 235 steps, on pixels from 0 to 1 and from 0 to
255. Prints validation accuracy. Ten minutes on two CPUs; it needs the extra `train`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgeopt.passes.distill_torch import Distill
from edgeopt.passes.prune_structured_torch import PruneStructured

DATA = Path(__file__).parents[1] / "models" / "fashion_mnist" / "fashion_mnist.npz"
FORMS: tuple[dict[str, Any], ...] = (
    {}, {"clip": None}, {"clip": 5.0}, {"lr": 0.02, "clip": None}, {"lr": 0.02},
    {"lr": 0.005, "clip": None},
)  # fmt: skip


class Plain(nn.Module):
    """No norm anywhere: (n, 1, 28, 28) to ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Linear(1600, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.features(image))
        return scores


def trained(images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    """The source."""
    torch.manual_seed(0)
    network = Plain()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(500):
        rows = torch.randint(0, len(images), (128,))
        loss = nn.functional.cross_entropy(network(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Of scores, or of the one output by name."""
    with torch.no_grad():
        scores = network.eval()(images)
    scores = next(iter(scores.values())) if isinstance(scores, dict) else scores
    return float((scores.argmax(1) == labels).float().mean())


def main() -> None:
    """Train, prune, distill, print a row for each form and each range of pixels."""
    print("| pixels | distill | accuracy |\n| --- | --- | --- |")
    with np.load(DATA) as held:
        arrays = {name: torch.from_numpy(held[name]) for name in held.files}
    for scale, pixels in ((1 / 255, "0 to 1"), (1.0, "0 to 255")):
        x = {s: arrays[f"{s}.images"][:, None].float() * scale for s in ("train", "validation")}
        y = {s: arrays[f"{s}.label"].long() for s in ("train", "validation")}
        source = trained(x["train"], y["train"])
        pruned = PruneStructured(macs=0.5)(source, {"image": x["train"][:512]})
        for name, network in (("source", source), ("pruned", pruned)):
            found = accuracy(network, x["validation"], y["validation"])
            print(f"| {pixels} | ({name}) | {found:.2%} |", flush=True)
        data = {"image": x["train"][:30_000]}, y["train"][:30_000]
        for form in FORMS:
            student = Distill(steps=235, **form)(pruned, data, teacher=source)
            said = ", ".join(f"{key}: {value}" for key, value in form.items()) or "defaults"
            found = accuracy(student, x["validation"], y["validation"])
            print(f"| {pixels} | {said} | {found:.2%} |", flush=True)


if __name__ == "__main__":
    main()
