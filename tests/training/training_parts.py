"""Real samples and a small network; run as a script, training that can be killed."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgeopt.training import Fitted, Samples, TrainingSettings, fit, supervised, validation

ARCHIVE = Path(__file__).parents[2] / "models" / "fashion_mnist" / "fashion_mnist.npz"
KILLED = TrainingSettings(
    steps=48, batch=32, lr=0.05, checkpoint_every=7, shift=2, mirror=True, erase=6, ema=0.9,
    patience=3,
)  # fmt: skip


def network() -> nn.Module:
    """The same untrained network each time."""
    torch.manual_seed(1)
    return Net()


class Net(nn.Module):
    """A convolution, batch norm, dropout and a linear layer over (batch, 1, 28, 28)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 8, 3, 2), nn.BatchNorm2d(8)
        self.pool, self.dropout = nn.MaxPool2d(4), nn.Dropout(0.2)
        self.head = nn.Linear(8 * 9, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        y = self.pool(torch.relu(self.norm(self.conv(image))))
        return self.head(self.dropout(y.flatten(1)))


def images(split: str, count: int) -> Samples:
    with np.load(ARCHIVE) as archive:
        pixels = archive[f"{split}.images"][:count].astype(np.float32)[:, None] / 255
        labels = archive[f"{split}.label"][:count]
    return Samples({"image": (pixels - 0.286) / 0.353}, labels)


def trained(settings: TrainingSettings, **options: Any) -> tuple[nn.Module, Fitted]:
    module = network()
    options = {"validate": validation(images("validation", 200)), "seed": 3, **options}
    return module, fit(module, images("train", 400), supervised(0.05), settings, **options)


def sha256(module: nn.Module) -> str:
    """Of all weights and buffers, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def main(folder: Path) -> None:
    """Train with checkpoints in ``folder``; a line for each step as it begins, then the weights."""

    def told(_module: nn.Module, step: int, _total: int) -> None:
        print(f"step {step}", flush=True)

    module, _ = trained(KILLED, checkpoints=folder, before_step=told)
    print(f"weights {sha256(module)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
