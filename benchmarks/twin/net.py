"""The network of ``models/keras_images``, written for torch: images are NCHW."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

WIDTHS = ((32, 2), (64, 1), (64, 2), (96, 1), (128, 2))


def padded(size: int, stride: int) -> tuple[int, int]:
    """What ``same`` padding of a 3-wide kernel adds before and after."""
    total = max((-(-size // stride) - 1) * stride + 3 - size, 0)
    return total // 2, total - total // 2


class Block(nn.Module):
    """A depthwise and a pointwise convolution, and the input added where it fits."""

    def __init__(self, given: int, width: int, stride: int, size: int) -> None:
        super().__init__()
        before, after = padded(size, stride)
        self.pad = nn.ZeroPad2d((before, after, before, after))
        self.deep = nn.Conv2d(given, given, 3, stride, groups=given, bias=False)
        self.deep_norm = nn.BatchNorm2d(given, eps=1e-3)
        self.wide = nn.Conv2d(given, width, 1, bias=False)
        self.wide_norm = nn.BatchNorm2d(width, eps=1e-3)
        self.added = given == width and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images in, images out."""
        y = torch.relu(self.deep_norm(self.deep(self.pad(x))))
        y = torch.relu(self.wide_norm(self.wide(y)))
        return x + y if self.added else y


class Images(nn.Module):
    """``image`` (batch, 1, 28, 28) to ``scores`` (batch, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(24, eps=1e-3)
        blocks, given, size = OrderedDict[str, nn.Module](), 24, 28
        for number, (width, stride) in enumerate(WIDTHS):
            blocks[str(number)] = Block(given, width, stride, size)
            given, size = width, -(-size // stride)
        self.blocks = nn.Sequential(blocks)
        self.drop, self.head = nn.Dropout(0.2), nn.Linear(given, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores, which are no probabilities."""
        x = self.blocks(torch.relu(self.norm(self.stem(image))))
        return self.head(self.drop(x.mean((2, 3))))


def images() -> Images:
    """The factory."""
    return Images()
