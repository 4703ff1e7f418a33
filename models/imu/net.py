"""The source model of the IMU example: a residual network over time.

``resnet()`` is the factory that recipes name; it takes (batch, 6, 128) float32 signals of an
accelerometer (g) and a gyroscope (rad/s) and gives (batch, 7) logits.
"""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    """Two convolutions with batch norm around a shortcut."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width_in, width_out, 5, stride, 2, bias=False)
        self.bn1 = nn.BatchNorm1d(width_out)
        self.conv2 = nn.Conv1d(width_out, width_out, 5, 1, 2, bias=False)
        self.bn2 = nn.BatchNorm1d(width_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width_out:
            self.shortcut = nn.Sequential(
                nn.Conv1d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm1d(width_out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """Input norm, stem, three stages of doubling width, mean over time, linear head."""

    def __init__(self, width: int = 32, classes: int = 7) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.stem = nn.Sequential(
            nn.Conv1d(6, width, 7, 2, 3, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )
        self.stages = nn.Sequential(
            Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2)
        )
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(4 * width, classes)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        y = self.stages(self.stem(self.norm(signal)))
        return self.head(self.dropout(y.mean(dim=2)))


def resnet() -> nn.Module:
    """The shipped source network."""
    return ResNet()


def resnet_16() -> nn.Module:
    """Width 16, untrained: a quarter of the multiply-accumulates."""
    return ResNet(16)
