"""What the tests of live models share: a network, data, and short calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset


class Net(nn.Module):
    """Convolution, batch norm, dropout, a linear head: (n, 3, 8, 8) to two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(8, 2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.conv(image)))
        return self.head(self.drop(y).mean((2, 3)))


def images(n: int = 64) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(0, 1, (n, 3, 8, 8)).astype(np.float32)
    return x, (x.mean((1, 2, 3)) > 0).astype(np.int64)


class Augmented(Dataset[Any]):
    """Flips and noise by a numpy generator of its own, by numpy's global one, and by a closure."""

    def __init__(self, n: int = 64, noise: Callable[[], float] | None = None) -> None:
        self.x, self.y = images(n)
        self.rng = np.random.default_rng(7)
        self.noise = noise or (lambda: 0.0)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        x = self.x[index]
        if self.rng.random() < 0.5:
            x = x[:, :, ::-1]
        x = x + np.random.normal(0, 0.01, x.shape).astype(np.float32) + self.noise()
        return torch.from_numpy(np.ascontiguousarray(x, np.float32)), int(self.y[index])


SHORT: dict[str, Any] = {
    "targets": ["local/onnxruntime"],
    "passes": ["export-onnx", {"one_of": ["none", {"quantize-int8": {"scheme": "u8s8"}}]}],
    "constraints": ["accuracy >= source - 50pt"],
    "objective": "size",
}
