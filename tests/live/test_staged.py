"""A live model and its data on their way to workers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from live_parts import Net
from torch import nn

import edgeopt
from edgeopt.live import program
from edgeopt.schema.errors import ModelError, UsageError


class Unnamed(nn.Module):
    def forward(self, *x: torch.Tensor) -> torch.Tensor:
        return x[0]


def test_a_compiled_module_is_taken_as_the_module_in_it(tmp_path: Path) -> None:
    data = (torch.rand(64, 4, dtype=torch.bfloat16), torch.arange(64) % 4)
    model = torch.compile(nn.Sequential(nn.Linear(4, 4)))
    done = edgeopt.optimize(
        model, data=data, targets=["local/onnxruntime"], bench=False, store=tmp_path / "store",
        out=tmp_path / "out",
    )  # fmt: skip
    assert all(c.status != "failed" for c in done.targets[0].candidates)


def test_a_forward_without_names_and_a_model_without_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="names no input"):
        program.input_names(Unnamed())
    with pytest.raises(UsageError, match="no data"):
        edgeopt.optimize(Net(), store=tmp_path / "store")
