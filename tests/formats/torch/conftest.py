"""A user's project: a network's code and weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

NET = """
from torch import nn
from parts import width

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, width)

    def forward(self, x):
        return self.head(self.norm(x))

def make():
    return Net()

def half():
    return Net().half()

def number():
    return 3

def broken():
    raise ValueError("never")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "net.py").write_text(NET)
    (root / "parts.py").write_text("width = 3\n")
    return root


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "norm.weight": (4,), "norm.bias": (4,), "norm.running_mean": (4,),
        "norm.running_var": (4,), "head.weight": (3, 4), "head.bias": (3,),
    }  # fmt: skip
    made = {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}
    return {**made, "norm.num_batches_tracked": torch.tensor(7)}
