"""The source model of the Fashion-MNIST example: a small residual network of width 32.

``resnet()`` is the factory that recipes name; it takes (batch, 1, 28, 28) float32
images and gives (batch, 10) logits. 37.2 M multiply-accumulates per image.
"""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut (He et al., arXiv:1512.03385)."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm2d(width_out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """Stem, three stages of doubling width and halving resolution, global mean, linear head."""

    def __init__(
        self, width: int = 32, blocks: tuple[int, ...] = (1, 1, 1), classes: int = 10
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        stages: list[nn.Module] = []
        width_in = width
        for stage, count in enumerate(blocks):
            width_out = width * 2**stage
            for index in range(count):
                stride = 2 if stage and index == 0 else 1
                stages.append(Block(width_in, width_out, stride))
                width_in = width_out
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(width_in, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        y = self.stages(self.stem(image))
        return self.head(y.mean(dim=(2, 3)))


def resnet() -> nn.Module:
    """The shipped source network."""
    return ResNet()


def resnet_24() -> nn.Module:
    """Width 24, untrained: a student. 20.9 M multiply-accumulates per image."""
    return ResNet(24)


def resnet_16() -> nn.Module:
    """Width 16, untrained: 9.3 M multiply-accumulates, a quarter of the source's."""
    return ResNet(16)


def resnet_12() -> nn.Module:
    """Width 12, untrained: 5.3 M multiply-accumulates."""
    return ResNet(12)


def resnet_8() -> nn.Module:
    """Width 8, untrained: 2.4 M multiply-accumulates."""
    return ResNet(8)
