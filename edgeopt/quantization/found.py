"""What another library found about a module: grids of values, scales of weights."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Grid(NamedTuple):
    """Codes 0 to 255 of ``scale * (code - zero_point)``."""

    scale: float
    zero_point: int


class Found(NamedTuple):
    """By the names of layers: the grid of each one's data, and the scales of its weight,
    (channels,)."""

    data: dict[str, Grid]
    weights: dict[str, torch.Tensor]
