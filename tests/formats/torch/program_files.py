"""A network as an exported program, in a file and taken in."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from edgeopt.formats import format_named

TORCH = format_named("torch")


class Net(nn.Module):
    """Two inputs, two outputs, batch norm, an arithmetic of sizes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.BatchNorm1d(4)
        self.line = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor, gain: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.line(self.norm(x)) * gain
        return {"scores": y, "flat": torch.cat([y, y], 1).reshape(x.shape[0] * 2, 3)[: x.shape[0]]}


def saved(path: Path, *, by_name: bool = True, fixed: bool = False) -> Path:
    """The program of ``Net`` as a file; torch's ``eval`` mode."""
    given = {"x": torch.zeros(2, 4), "gain": torch.zeros(2, 1)}
    free = {} if fixed else {0: torch.export.Dim("batch", min=1)}
    if by_name:
        program = torch.export.export(
            Net().eval(), (), given, dynamic_shapes=dict.fromkeys(given, free)
        )
    else:
        shapes = tuple(free for _ in given)
        program = torch.export.export(Net().eval(), tuple(given.values()), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


def gathered(path: Path, into: Path) -> Path:
    into.mkdir()
    TORCH.gather({"path": path.name}, path.parent, into, {})
    return into
